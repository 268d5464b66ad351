// node check.mjs: runs every vector against the plain clients of this directory. Prints {"file","name","kind"} for each that fits, one a
// line, and ends with 1 after the first that does not.
import { deepStrictEqual } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { Auth, Refused, SignedOut, Unreachable } from './auth.mjs';
import { Network } from './network.mjs';
import { ProvisioningService, timestamp } from './provisioning.mjs';
import { sign, verify } from './signing.mjs';

const files = ['signing.json', 'retries.json', 'timestamps.json', 'tokens.json'];
const kinds = { sign: checkSign, verify: checkVerify, send: checkCall, health: checkCall, timestamp: checkTimestamp, session: checkSession };
const endings = { 'signed-out': SignedOut, refused: Refused, unreachable: Unreachable };

const network = await Network.start();
for (const file of files) {
  for (const vector of JSON.parse(await readFile(new URL(file, import.meta.url)))) {
    const { name, kind } = vector;
    if (!(kind in kinds)) throw new Error(`${file}: ${name}: unknown kind ${kind}`);
    try {
      await kinds[kind](vector);
    } catch (error) {
      throw new Error(`${file}: ${name}`, { cause: error });
    }
    console.log(JSON.stringify({ file, name, kind }));
  }
}
network.stop();

function bytes({ body, bodyHex }) { return bodyHex === undefined ? Buffer.from(body) : Buffer.from(bodyHex, 'hex'); }

async function checkSign(vector) {
  deepStrictEqual(sign(vector, bytes(vector)), vector.headers);
  const { secret, headers } = vector;
  deepStrictEqual(await webCrypto(secret, headers['x-timestamp'], bytes(vector)), headers['x-signature']);
}

// webCrypto is how a Worker signs: docs/signing.md.
async function webCrypto(secret, time, body) {
  const key = await crypto.subtle.importKey('raw', new TextEncoder().encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return Buffer.from(await crypto.subtle.sign('HMAC', key, Buffer.concat([Buffer.from(`${time}.`), body]))).toString('hex');
}

function checkVerify(vector) { deepStrictEqual(verify(vector, vector.headers, bytes(vector)), vector.code); }

function checkTimestamp({ epochMicroseconds, text }) { deepStrictEqual(timestamp(epochMicroseconds), text); }

async function checkCall(vector) {
  await checkCallOf(false, vector, vector.want);
  if (vector.shipped !== null) await checkCallOf(true, vector, vector.shipped ?? vector.want);
}

// checkCallOf has the call made by a client of ours, or by the shipped one, whose errors have no code.
async function checkCallOf(shipped, { kind, url, answers }, want) {
  network.play(answers);
  const got = { delaysMs: [], tracked: 0 };
  const service = new ProvisioningService({
    base: network.base, http: network.request, shipped,
    delay: async (milliseconds) => { got.delaysMs.push(milliseconds); }, track: () => { got.tracked++; },
  });
  const result = kind === 'send' ? await service.sendEvent({ userId: 'u1', action: 'ping', sentAt: timestamp(0) }) : await service.checkHealth(url);
  if (shipped) {
    delete result.code;
    want = { ...want };
    delete want.code;
  }
  deepStrictEqual({ ...got, ...result, requests: network.requests.length }, want);
  const keys = new Set(network.requests.map(({ headers }) => headers['Idempotency-Key']));
  if (kind === 'send') deepStrictEqual([keys.size, keys.has(undefined)], [1, shipped]);
}

async function checkSession({ stored, steps }) {
  const store = { refreshToken: stored };
  const auth = new Auth({ http: (method, path, ...rest) => network.request(method, network.base + path, ...rest), store });
  for (const step of steps) {
    network.play(step.exchanges.map(answer));
    const calls = Array.from({ length: step.times ?? 1 }, () => auth[step.call]());
    for (const { status, reason } of await Promise.allSettled(calls)) {
      const ends = status === 'fulfilled' ? 'ok' : Object.keys(endings).find((name) => reason instanceof endings[name]) ?? String(reason.stack);
      deepStrictEqual(ends, step.ends);
    }
    deepStrictEqual(network.requests.map(sent), step.exchanges.map(expected));
    deepStrictEqual([store.refreshToken, auth.status], [step.stored, step.status]);
  }
}

// answer is what the server gives to the request of an exchange.
function answer({ failure, status, tokens, user = 'u1', code, body }) {
  if (failure) return { failure };
  if (tokens) body = JSON.stringify({ access_token: `access-${tokens}`, refresh_token: `refresh-${tokens}`, token_type: 'Bearer', expires_in: 3600, user: { user_id: user } });
  else if (code) body = JSON.stringify({ error: { code, message: 'no', details: {} } });
  return { status, body: body ?? (status === 204 ? '' : '{"token":"a.b.c","expires_in":300,"applied_count":0}') };
}

function sent({ request, headers, body }) {
  return { request, bearer: headers.Authorization?.replace('Bearer ', ''), refreshToken: body && JSON.parse(body).refresh_token };
}

function expected({ request, bearer, refreshToken }) { return { request, bearer, refreshToken }; }
