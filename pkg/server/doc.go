// Package server runs the services of one process: it listens, tells how the process is, reloads, and drains. It knows
// nothing of their endpoints, and reads no configuration.
package server
