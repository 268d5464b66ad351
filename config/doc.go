// Package config turns flags, environment, secret files and Wrangler files into one typed, validated [Config]. One table
// of all settings drives loading, checking, showing and documenting them. It does not generate missing secrets, nor open
// what a setting names: package cmd does.
package config
