// A device of the tests: an app's database in PowerSync's SDK, whichever, with the connector of the shipped app. Its methods take and
// return JSON; what is wrong is an Error.
import { column, Schema, Table } from '@powersync/common';

const { text, integer, real } = column;
export const schema = new Schema({
  books: new Table({
    book_id: text, owner_user_id: text, title: text, subtitle: text, author: text, co_authors: text, isbn: text, isbn13: text,
    publisher: text, language: text, page_count: integer, description: text, cover_image_url: text, reading_status: text,
    current_page: integer, current_position: real, current_cfi: text, is_favorite: integer, rating: integer, custom_metadata: text,
    added_at: text, updated_at: text,
  }),
});

// Tests wait for no timers: a device tries again, and uploads, at once.
const haste = { retryDelayMs: 50, crudUploadThrottleMs: 1 };

export class Device {
  // The backend is the base URL of papyrus; checkpoints are "legacy" or "requests".
  constructor(db, { backend, checkpoints }) {
    Object.assign(this, { db, backend, checkpoints, stats: { connects: 0, disconnects: 0, tokens: 0, refreshes: 0, uploads: {}, errors: [] } });
    let online = false; // until its status is neither connected nor connecting
    db.registerListener({ statusChanged: (status) => {
      if (online ? !status.connected && !status.connecting : status.connected) {
        online = !online;
        this.stats[online ? 'connects' : 'disconnects']++;
      }
      const error = status.downloadError ?? status.uploadError;
      if (error && error.message !== this.stats.errors.at(-1) && error.message !== 'Disconnect has been requested') {
        this.stats.errors.push(error.message);
      }
    } });
  }

  // connect signs in with tokens and returns when the stream stands, or when its first try has failed.
  connect({ access, refresh }) {
    Object.assign(this, { access, refresh });
    const connector = { fetchCredentials: () => this.fetchCredentials(), uploadData: (db) => this.uploadData(db) };
    return this.db.connect(connector, { ...haste, checkpointMode: this.checkpoints });
  }

  disconnect() { return this.db.disconnect(); }
  signOut() { return this.db.disconnectAndClear(); }

  // execute runs statements, each a list of a text and its arguments, in one transaction.
  async execute({ statements }) {
    await this.db.writeTransaction(async (tx) => {
      for (const [sql, ...args] of statements) {
        await tx.execute(sql, args);
      }
    });
  }

  query({ sql, args }) { return this.db.getAll(sql, args ?? []); }

  // awaits returns, once the rows of a query are these, when that was: in milliseconds of Unix time.
  async awaits({ sql, args, rows }) {
    const want = JSON.stringify(rows);
    const tables = sql.includes('ps_crud') ? ['ps_crud'] : ['books'];
    let changed = () => {};
    const dispose = this.db.onChangeWithCallback({ onChange: () => changed() }, { tables, throttleMs: 0, rawTableNames: tables[0] === 'ps_crud' });
    try {
      for (;;) {
        const next = new Promise((resolve) => { changed = resolve; setTimeout(resolve, 100); });
        if (JSON.stringify(await this.db.getAll(sql, args ?? [])) === want) {
          return performance.timeOrigin + performance.now();
        }
        await next;
      }
    } finally {
      dispose();
    }
  }

  report() { return this.stats; }
  close() { return this.db.close(); }

  // post makes a request of papyrus with the access token, and renews that once if it is refused.
  async post(path, body) {
    const send = () => fetch(this.backend + path, {
      method: 'POST', body: body && JSON.stringify(body),
      headers: { Authorization: `Bearer ${this.access}`, 'Content-Type': 'application/json' },
    });
    const response = await send();
    if (response.status !== 401) {
      return response;
    }
    this.stats.refreshes++;
    const renewed = await fetch(`${this.backend}/v1/auth/refresh`, {
      method: 'POST', body: JSON.stringify({ refresh_token: this.refresh }), headers: { 'Content-Type': 'application/json' },
    });
    if (!renewed.ok) {
      return response;
    }
    const { access_token: access, refresh_token: refresh } = await renewed.json();
    Object.assign(this, { access, refresh });
    return send();
  }

  async fetchCredentials() {
    const response = await this.post('/v1/auth/powersync-token');
    if (!response.ok) {
      throw new Error(`no PowerSync token: ${response.status}`);
    }
    this.stats.tokens++;
    const { token, expires_in: seconds } = await response.json();
    return { endpoint: this.backend, token, expiresAt: new Date(Date.now() + 1000 * seconds) };
  }

  async uploadData(db) {
    const transaction = await db.getNextCrudTransaction();
    if (!transaction) {
      return;
    }
    const batch = transaction.crud.map((op) => ({
      op_id: op.clientId, op: op.op, type: op.table, id: op.id, tx_id: op.transactionId,
      data: op.opData ?? null, metadata: op.metadata ?? null, old: op.previousValues ?? null,
    }));
    const response = await this.post('/v1/sync/powersync-upload', { batch });
    this.stats.uploads[response.status] = 1 + (this.stats.uploads[response.status] ?? 0);
    if (!response.ok) {
      throw new Error(`upload refused: ${response.status}`);
    }
    await transaction.complete();
  }
}
