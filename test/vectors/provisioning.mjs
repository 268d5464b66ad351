// ProvisioningService in plain Node: what the Dart class does, or with shipped: false what a client should do.
import { randomUUID } from 'node:crypto';

export const messages = {
  timeout: 'Connection timed out. Please try again.',
  network: 'Network error. Please try again.',
  server: 'Server error. Please try again.',
  unexpected: 'An unexpected error occurred.',
};

const maxRetries = 2;
const longestWaitMs = 30_000;

// Failure is a request without an answer. Its type is one of DioExceptionType, or connectionLost.
export class Failure extends Error {
  constructor(type) { super(type); this.type = type; }
}

export class ProvisioningService {
  // post and get return {status, headers, body} or throw a Failure; delay takes milliseconds; track gets what failed.
  constructor({ base, http, delay, track, shipped }) { Object.assign(this, { base, http, delay, track, shipped }); }

  async sendEvent(event) {
    const headers = { 'Content-Type': 'application/json', ...!this.shipped && { 'Idempotency-Key': randomUUID() } };
    for (let attempt = 0; ; attempt++) {
      let answer;
      try {
        answer = await this.http('POST', `${this.base}/send`, headers, JSON.stringify(event));
      } catch (failure) {
        if (this.retries(failure) && attempt < maxRetries) {
          await this.delay(1000 << attempt);
          continue;
        }
        this.track(failure);
        return { error: failure.type.endsWith('Timeout') ? messages.timeout : messages.network };
      }
      const wait = Math.max(1000 << attempt, this.shipped ? 0 : retryAfterMs(answer.headers));
      if (this.isTransient(answer.status) && attempt < maxRetries && wait <= longestWaitMs) {
        await this.delay(wait);
        continue;
      }
      return this.result(answer);
    }
  }

  // checkHealth asks once. The shipped class takes any URL.
  async checkHealth(url) {
    if (!this.shipped && !isSafe(url)) {
      this.track(new Failure('insecureURL'));
      return { error: messages.unexpected };
    }
    try {
      const answer = await this.http('GET', `${url.replace(/\/$/, '')}/health`, {});
      if (answer.status < 200 || answer.status > 299) throw new Failure('badResponse');
      const data = object(answer.body);
      return answer.status === 200 && data.ok === true ? { success: data } : { error: messages.server };
    } catch (failure) {
      this.track(failure);
      return { error: messages.network };
    }
  }

  retries({ type }) {
    return ['connectionTimeout', 'receiveTimeout', 'connectionError'].includes(type) || !this.shipped && type === 'connectionLost';
  }

  isTransient(status) { return (this.shipped ? [500, 504] : [500, 504, 429, 502, 503]).includes(status); }

  result({ status, body }) {
    const data = object(body);
    if (status === 200 && data.ok === true) return { success: data };
    const code = typeof data.code === 'string' ? { code: data.code } : {};
    if (this.isTransient(status) && !this.shipped) this.track(new Failure(`status ${status}`));
    if (status === 500 || status === 504) return { error: messages.server, ...code };
    if (typeof (data.error ?? '') !== 'string') { // the cast to String throws
      this.track(new Failure('cast'));
      return { error: messages.unexpected, ...code };
    }
    return { error: data.error ?? messages.unexpected, ...code };
  }
}

// timestamp is DateTime.toUtc().toIso8601String() of microseconds since 1970.
export function timestamp(microseconds) {
  const whole = Math.floor(microseconds / 1000);
  const rest = microseconds - whole * 1000;
  const text = new Date(whole).toISOString();
  return rest === 0 ? text : text.replace('Z', `${String(rest).padStart(3, '0')}Z`);
}

function retryAfterMs(headers) {
  const text = headers.get('retry-after') ?? '';
  if (/^[0-9]+$/.test(text)) return Number(text) * 1000;
  const until = Date.parse(text);
  const now = Date.parse(headers.get('date') ?? '');
  return Number.isNaN(until) ? 0 : Math.max(0, until - (Number.isNaN(now) ? Date.now() : now));
}

function isSafe(text) {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
  return protocol === 'https:' || protocol === 'http:' && isLoopback;
}

function object(body) {
  try {
    const data = JSON.parse(body);
    return data !== null && typeof data === 'object' && !Array.isArray(data) ? data : {};
  } catch {
    return {};
  }
}
