// Checks signature vectors with WebCrypto: node vectors.mjs path/to/vectors.json. Exits 1 when one does not fit.

import { readFile } from 'node:fs/promises';
import { argv } from 'node:process';

const encoder = new TextEncoder();

const vectors = JSON.parse(await readFile(argv[2], 'utf8'));
if (vectors.length === 0) throw new Error(`${argv[2]} holds no vectors`);
for (const { name, secret, timestamp, body, signature } of vectors) {
  const key = await crypto.subtle.importKey('raw', encoder.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const mac = await crypto.subtle.sign('HMAC', key, encoder.encode(`${timestamp}.${body}`));
  const hex = Buffer.from(mac).toString('hex');
  if (hex !== signature) throw new Error(`${name}: WebCrypto gives ${hex}, the vector says ${signature}`);
  console.log(`ok ${name}`);
}
