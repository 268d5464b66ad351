// Package powersync is a PowerSync client in pure Go: it keeps the tables of a [Schema] in a SQLite file, queues what the app writes to
// them, uploads the queue through a [Connector], and follows the sync stream of a PowerSync service (the protocol as measured: shared
// notes of powersync). It does not know what the rows mean, nor how an app signs in; packages library and papyrus do.
//
// # Using it
//
// [Open] a file, [DB.Write] and [DB.Read] with plain SQL on views named as the tables, whose key is the column id, and [DB.Connect] to
// sync until [DB.Disconnect]. Everything but syncing works without a network.
//
// # What it promises
//
// A transaction of [DB.Write] is on the disk, with its place in the queue, when Write returns. Transactions are uploaded one at a time,
// in their order. What the server sends becomes visible one whole checkpoint at a time, its checksums verified, and never before all that
// this device has written is part of it. A process that is killed anywhere goes on where the last one was. Several processes may have
// one file open: all may read and write, and one of them syncs.
package powersync
