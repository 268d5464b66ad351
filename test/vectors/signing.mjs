// The signing scheme in plain Node: docs/signing.md, step by step. Bodies are bytes.
import { createHmac, timingSafeEqual } from 'node:crypto';

// sign returns the headers of a request that is sent at now, in milliseconds.
export function sign({ secret, keyId, now }, body) {
  const timestamp = String(now);
  const headers = { 'x-timestamp': timestamp, 'x-signature': mac(secret, timestamp, body).toString('hex') };
  return keyId ? { ...headers, 'x-key-id': keyId } : headers;
}

// verify returns the code of a refusal, '' if there is none. keys holds secrets by id; with secret instead, ids are not looked at.
export function verify({ keys, secret, windowMs, now }, headers, body) {
  const of = (name) => headers.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
  const [timestamps, signatures, ids] = [of('x-timestamp'), of('x-signature'), of('x-key-id')];
  if (timestamps.length !== 1 || signatures.length !== 1 || !timestamps[0] || !signatures[0]) return 'MISSING_AUTH_HEADERS';

  const [timestamp] = timestamps;
  if (!/^(0|[1-9][0-9]{0,15})$/.test(timestamp) || Math.abs(now - Number(timestamp)) > windowMs) return 'STALE_TIMESTAMP';

  const key = secret ?? (ids.length === 1 && Object.hasOwn(keys, ids[0]) ? keys[ids[0]] : null);
  if (key === null || !/^[0-9a-f]{64}$/.test(signatures[0])) return 'INVALID_SIGNATURE';
  return timingSafeEqual(mac(key, timestamp, body), Buffer.from(signatures[0], 'hex')) ? '' : 'INVALID_SIGNATURE';
}

function mac(secret, timestamp, body) {
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest();
}
