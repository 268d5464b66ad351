// Devices behind HTTP, for powersync.go: POST {"device", "open": options}, or {"device", "call": method of device.mjs, "with": argument},
// answers what comes of it as JSON.
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { createConsoleLogger, LogLevels } from '@powersync/common';
import { PowerSyncDatabase } from '@powersync/node';
import { Device, schema } from './device.mjs';

const devices = new Map();
const encodings = { ndjson: 'application/x-ndjson', bson: 'application/vnd.powersync.bson-stream' };
const logger = createConsoleLogger({ minLevel: LogLevels.warn });

function open(name, options) {
  const streams = {}; // by Content-Type
  // customFetch has the stream encoded as the test wants it.
  const customFetch = async (resource, init) => {
    const isStream = resource.endsWith('/sync/stream');
    const headers = isStream ? { ...init.headers, accept: encodings[options.encoding] ?? init.headers.accept } : init.headers;
    const response = await fetch(resource, { ...init, headers });
    if (isStream && response.ok) {
      const type = response.headers.get('content-type');
      streams[type] = 1 + (streams[type] ?? 0);
    }
    return response;
  };
  const database = { dbFilename: `${name}.db`, dbLocation: process.env.HOME, implementation: { type: 'node:sqlite' } };
  const device = new Device(new PowerSyncDatabase({ schema, database, logger, remoteOptions: { customFetch } }), options);
  device.stats.streams = streams;
  devices.set(name, device);
  return device.db.init();
}

function act({ device, open: options, call, with: argument }) {
  return options ? open(device, options) : devices.get(device)[call](argument);
}

http.createServer(async (request, response) => {
  try {
    response.end(JSON.stringify(request.method === 'POST' ? await act(JSON.parse(await text(request))) : process.version) ?? 'null');
  } catch (error) {
    response.writeHead(500).end(`${error.stack}`);
  }
}).listen(process.env.PORT, '127.0.0.1');
