// A web app that is a device, bundled for web.go. The page's function device({open: options}) opens its database, and device({call:
// method of device.mjs, with: argument}) resolves to what comes of it.
import { createConsoleLogger, LogLevels } from '@powersync/common';
import { PowerSyncDatabase } from '@powersync/web';
import { Device, schema } from './device.mjs';

const worker = '/worker/worker.js'; // for the database, and for the sync of all tabs
const logger = createConsoleLogger({ minLevel: LogLevels.warn });
let device;

async function open(options) {
  const database = { dbFilename: 'books.db', worker };
  device = new Device(new PowerSyncDatabase({ schema, database, logger, sync: { worker } }), options);
  await device.db.init();
  return null;
}

globalThis.device = ({ open: options, call, with: argument }) => (options ? open(options) : device[call](argument));
