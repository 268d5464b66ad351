// The sender as a Worker: what a user of the original architecture runs. Public; signs and forwards.

const encoder = new TextEncoder();

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    switch (`${request.method} ${pathname}`) {
      case 'GET /health':
        return json(200, { ok: true, service: 'api-provisioning-sender', version: '1.0.0', timestamp: new Date().toISOString() });
      case 'POST /signup':
        return signIn(request, env, '/auth/v1/signup', 201);
      case 'POST /signin':
        return signIn(request, env, '/auth/v1/token?grant_type=password', 200);
      case 'POST /send':
        return send(request, env);
    }
    return refuse(404, 'not found', 'NOT_FOUND');
  },
};

async function send(request, env) {
  const body = new Uint8Array(await request.arrayBuffer()); // signed and forwarded as it came
  const fields = parseObject(body);
  if (!fields) return refuse(400, 'invalid json', 'JSON_PARSE_ERROR');
  const wanted = fields.action === 'provision_api_key' ? ['jwt', 'name', 'tier'] : ['userId', 'action', 'sentAt'];
  const missing = wanted.filter((name) => typeof fields[name] !== 'string' || fields[name] === '');
  if (missing.length > 0) return refuse(400, `missing fields: ${missing.join(', ')}`, 'MISSING_FIELDS');

  const headers = { 'content-type': 'application/json', ...(await signatureHeaders(env, body)) };
  const idempotencyKey = request.headers.get('idempotency-key');
  if (idempotencyKey) headers['idempotency-key'] = idempotencyKey;
  try {
    const answer = await fetch(`${env.RECEIVER_WORKER_URL}/inbox`, { method: 'POST', headers, body, redirect: 'manual' });
    return new Response(answer.body, { status: answer.status, headers: { 'content-type': 'application/json; charset=utf-8' } });
  } catch {
    return refuse(502, 'receiver unreachable', 'RECEIVER_UNREACHABLE');
  }
}

// With SIGNING_KEYS the active key signs and is named; SHARED_SECRET is the older form with one nameless key.
async function signatureHeaders(env, body) {
  const keyId = env.SIGNING_KEYS ? env.ACTIVE_KEY_ID : undefined;
  const secret = keyId ? JSON.parse(env.SIGNING_KEYS)[keyId] : env.SHARED_SECRET;
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const timestamp = String(Date.now());
  const mac = await crypto.subtle.sign('HMAC', key, await new Blob([`${timestamp}.`, body]).arrayBuffer());
  const signature = [...new Uint8Array(mac)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return { 'x-timestamp': timestamp, 'x-signature': signature, ...(keyId && { 'x-key-id': keyId }) };
}

async function signIn(request, env, path, status) {
  const credentials = parseObject(await request.arrayBuffer());
  if (!credentials) return refuse(400, 'invalid json', 'JSON_PARSE_ERROR');
  const headers = { 'content-type': 'application/json', apikey: env.SUPABASE_ANON_KEY };
  const { email, password } = credentials;
  const answer = await fetch(env.SUPABASE_URL + path, { method: 'POST', headers, body: JSON.stringify({ email, password }) });
  const grant = await answer.json();
  if (!answer.ok) return refuse(answer.status, grant.msg, String(grant.error_code).toUpperCase());
  return json(status, { jwt: grant.access_token, userId: grant.user.id, email: grant.user.email });
}

function parseObject(bytes) {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const json = (status, value) =>
  new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json; charset=utf-8' } });
const refuse = (status, error, code) => json(status, { error, code });
