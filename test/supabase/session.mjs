// node session.mjs <url>: plays a session with Supabase's own client library, and prints what each step comes to as a line of
// JSON: {step, …} with what the library gives a program, or {step, error: {name, status, code}}.
import { createClient } from '@supabase/supabase-js';

const [url] = process.argv.slice(2);
const options = {
  auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  realtime: { transport: class {} }, // Node 20 has no WebSocket, and none is opened
};
const client = () => createClient(url, 'an-anon-key', options).auth;
const credentials = { email: 'Reader@example.com', password: 'correct horse battery' };

const describe = {
  user: (u) => ({ id: u.id, email: u.email, role: u.role, aud: u.aud, metadata: u.user_metadata }),
  session: (s) => ({ type: s.token_type, expiresIn: s.expires_in, parts: s.access_token.split('.').length }),
};

async function claims(auth) {
  const { data, error } = await auth.getClaims();
  return { data: data && { user: { ...data.claims, id: data.claims.sub } }, error };
}

async function step(name, call) {
  const { data, error } = await call;
  const line = { step: name };
  if (error) line.error = { name: error.name, status: error.status, code: error.code };
  if (data?.user) line.user = describe.user(data.user);
  if (data?.session) line.session = describe.session(data.session);
  console.log(JSON.stringify(line));
  return data;
}

const auth = client();
const signedUp = await step('sign up', auth.signUp({ ...credentials, options: { data: { display_name: 'Zoë' } } }));
await step('get the user', auth.getUser());
await step('refresh', auth.refreshSession());
await step('get the user again', auth.getUser());
await step('sign out', auth.signOut());
await step('get the user of the ended session', auth.getUser(signedUp.session.access_token));
await step('refresh the ended session', auth.refreshSession({ refresh_token: signedUp.session.refresh_token }));

await step('sign in', auth.signInWithPassword(credentials));
const other = client();
await step('sign in elsewhere', other.signInWithPassword(credentials));
await step('sign out the others', auth.signOut({ scope: 'others' }));
await step('get the user elsewhere', other.getUser());
await step('get the user here', auth.getUser());
await step('verify the claims', claims(auth)); // under the published keys, in WebCrypto

await step('wrong password', client().signInWithPassword({ ...credentials, password: 'wrong' }));
await step('unknown user', client().signInWithPassword({ ...credentials, email: 'stranger@example.com' }));
await step('existing user', client().signUp(credentials));
await step('weak password', client().signUp({ email: 'weak@example.com', password: 'short' }));
await step('bad email', client().signUp({ email: 'reader', password: credentials.password }));
await step('recover', client().resetPasswordForEmail('reader@example.com'));
