// The receiver as a Worker: what a user of the original architecture runs. Internal; verifies and dispatches.

const encoder = new TextEncoder();
const seen = new Map(); // signature → when it may be forgotten; one isolate's memory, so weaker than a database

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (request.method === 'GET' && pathname === '/health') return json(200, { ok: true, service: 'receiver-worker' });
    if (request.method !== 'POST' || pathname !== '/inbox') return refuse(404, 'not found', 'NOT_FOUND');

    const body = await request.arrayBuffer(); // the raw bytes: they are what was signed
    const refusal = await verify(request.headers, body, env);
    if (refusal) return refusal;
    const text = new TextDecoder().decode(body);
    const fields = parseObject(text);
    if (!fields) return refuse(400, 'invalid json', 'JSON_PARSE_ERROR');
    if (fields.action === 'provision_api_key') return provision(fields, request.headers.get('idempotency-key'), env);
    return new Response(`{"ok":true,"received":${text}}`, { headers: jsonHeaders });
  },
};

// verify returns the refusal of a request that is not authentic, or undefined.
async function verify(headers, body, env) {
  const timestamp = headers.get('x-timestamp');
  const signature = headers.get('x-signature');
  if (!timestamp || !signature) return refuse(401, 'missing auth headers', 'MISSING_AUTH_HEADERS');

  const window = Number(env.REPLAY_WINDOW_MS ?? 300000);
  const canonical = /^(0|[1-9][0-9]{0,15})$/.test(timestamp);
  if (!canonical || Math.abs(Date.now() - Number(timestamp)) > window) {
    return refuse(401, 'stale or invalid timestamp', 'STALE_TIMESTAMP');
  }

  const keys = env.SIGNING_KEYS ? new Map(Object.entries(JSON.parse(env.SIGNING_KEYS))) : undefined;
  const secret = keys ? keys.get(headers.get('x-key-id')) : env.SHARED_SECRET;
  const wellFormed = secret && /^[0-9a-f]{64}$/.test(signature);
  if (!wellFormed || !(await authentic(secret, signature, `${timestamp}.`, body))) {
    return refuse(401, 'invalid signature', 'INVALID_SIGNATURE');
  }

  for (const [old, until] of seen) { // about in the order of their ends
    if (until >= Date.now()) break;
    seen.delete(old);
  }
  if (seen.has(signature)) return refuse(409, 'replay detected', 'REPLAY_DETECTED');
  seen.set(signature, Number(timestamp) + window + 60000);
}

// authentic compares in constant time: crypto.subtle.verify does.
async function authentic(secret, signature, prefix, body) {
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  const mac = Uint8Array.from(signature.match(/../g), (pair) => parseInt(pair, 16));
  return crypto.subtle.verify('HMAC', key, mac, await new Blob([prefix, body]).arrayBuffer());
}

async function provision({ jwt, name, tier }, idempotencyKey, env) {
  const headers = { authorization: `Bearer ${jwt}`, apikey: env.SUPABASE_ANON_KEY };
  const user = await fetch(`${env.SUPABASE_URL}/auth/v1/user`, { headers });
  if (!user.ok) return refuse(401, 'invalid or expired token', 'INVALID_AUTH');

  headers['content-type'] = 'application/json';
  if (idempotencyKey) headers['idempotency-key'] = idempotencyKey;
  const body = JSON.stringify({ name, tier });
  const answer = await fetch(`${env.SUPABASE_URL}/functions/v1/api-keys-create`, { method: 'POST', headers, body });
  if (!answer.ok) return refuse(answer.status < 500 ? answer.status : 502, 'provisioning failed', 'PROVISION_ERROR');
  const { token, keyId, prefix, tier: granted } = await answer.json();
  return json(200, { ok: true, token, keyId, prefix, tier: granted });
}

function parseObject(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const jsonHeaders = { 'content-type': 'application/json; charset=utf-8' };
const json = (status, value) => new Response(JSON.stringify(value), { status, headers: jsonHeaders });
const refuse = (status, error, code) => json(status, { error, code });
