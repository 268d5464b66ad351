// AuthRepository and AuthProvider in plain Node: what the Dart classes do with tokens, but that only a definite refusal of a refresh
// clears them.
import { Failure } from './provisioning.mjs';

// The ways in which a call can end without success.
export class Refused extends Error {}
export class Unreachable extends Error {}
export class SignedOut extends Error {}

export class Auth {
  status = 'unknown';
  access = null; // in memory only
  #refreshing = null;

  // http returns {status, body} or throws a Failure; store has a member refreshToken, null for none.
  constructor({ http, store }) { Object.assign(this, { http, store }); }

  async bootstrap() {
    await this.refresh().catch(() => {}); // the status says what came of it
  }

  login() { return this.#enter('/v1/auth/login', { email: 'reader@example.com', password: 'correct horse battery' }); }
  register() { return this.#enter('/v1/auth/register', { email: 'reader@example.com', password: 'correct horse battery', display_name: 'Reader' }); }
  createPowerSyncToken() { return this.#confirmed('token', '/v1/auth/powersync-token'); }
  uploadPowerSyncBatch() { return this.#confirmed('applied_count', '/v1/sync/powersync-upload', { batch: [] }); }

  // refresh is one request, however many ask for it meanwhile.
  refresh() {
    this.#refreshing ??= this.#refresh().finally(() => { this.#refreshing = null; });
    return this.#refreshing;
  }

  async logout() {
    try {
      await this.#authorized('/v1/auth/logout');
    } catch (error) {
      if (!(error instanceof SignedOut)) throw error;
    } finally {
      this.#clear();
    }
  }

  async setOfflineMode() {
    await this.logout().catch(() => {});
    this.status = 'offline-mode';
  }

  // #enter keeps the tokens of a sign-in, and then ends the session that was there before, if it can.
  async #enter(path, body) {
    const { refreshToken: before } = this.store;
    this.#keep(await this.#call(path, body));
    if (before !== null) await this.#end(before).catch(() => {});
  }

  async #end(refreshToken) {
    const { access_token: access } = await this.#call('/v1/auth/refresh', { refresh_token: refreshToken });
    await this.#call('/v1/auth/logout', undefined, access);
  }

  async #refresh() {
    const { refreshToken } = this.store;
    if (refreshToken === null) {
      if (this.status !== 'offline-mode') this.status = 'signed-out';
      throw new SignedOut();
    }
    try {
      this.#keep(await this.#call('/v1/auth/refresh', { refresh_token: refreshToken }));
    } catch (error) {
      if (error instanceof Refused && [401, 403].includes(error.status)) {
        this.#clear();
        throw new SignedOut();
      }
      this.status = 'offline';
      throw error;
    }
  }

  // #confirmed takes an answer for one only if it has a member that it cannot lack: a transaction that is completed is gone.
  async #confirmed(member, path, body) {
    const data = await this.#authorized(path, body);
    if (data[member] === undefined) throw new Unreachable('not papyrus');
    return data;
  }

  // #authorized refreshes where there is no access token, and once after a 401.
  async #authorized(path, body) {
    if (this.access === null) await this.refresh();
    try {
      return await this.#call(path, body, this.access);
    } catch (error) {
      if (error.status !== 401) throw error;
    }
    this.access = null;
    await this.refresh();
    return this.#call(path, body, this.access);
  }

  async #call(path, body, bearer) {
    const headers = { 'Content-Type': 'application/json', ...bearer && { Authorization: `Bearer ${bearer}` } };
    let answer;
    try {
      answer = await this.http('POST', path, headers, body && JSON.stringify(body));
    } catch (failure) {
      throw failure instanceof Failure ? new Unreachable(failure.type) : failure;
    }
    const { status } = answer;
    let data = {};
    try {
      if (answer.body.trim() !== '') data = JSON.parse(answer.body);
    } catch {
      throw new Unreachable('not papyrus'); // a proxy, or the sign-in page of a network
    }
    if (status >= 200 && status <= 299) return data;
    const isTransient = status === 429 || status >= 500;
    throw Object.assign(isTransient ? new Unreachable(status) : new Refused(data.error?.code), { status });
  }

  #keep({ access_token: access, refresh_token: refresh }) {
    if (!access || !refresh) throw new Unreachable('no tokens');
    this.store.refreshToken = refresh;
    Object.assign(this, { access, status: 'signed-in' });
  }

  #clear() {
    this.store.refreshToken = null;
    Object.assign(this, { access: null, status: 'signed-out' });
  }
}
