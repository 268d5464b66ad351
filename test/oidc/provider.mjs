// An OpenID provider on loopback, for one client. Whoever its browser says to be (login_hint) is signed in without being asked; a
// browser that does not say is shown a page with a button for each user.
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const { issuer, client, people } = JSON.parse(process.env.OIDC_PROVIDER);
const claims = (person) => ({
  sub: person.subject, email: person.email, email_verified: person.emailVerified, name: person.name, picture: person.picture,
});
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(issuer, {
  clients: [{
    client_id: client.id, client_secret: client.secret, redirect_uris: client.redirectURIs,
    grant_types: ['authorization_code'], response_types: ['code'],
  }],
  pkce: { required: () => true, methods: ['S256'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'picture'] },
  conformIdTokenClaims: client.userInfoOnly, // false as with Google: the e-mail is in the ID token
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_ctx, id) => ({ accountId: id, claims: async () => claims(people.find((person) => person.subject === id)) }),
  cookies: { keys: ['a key for tests'] },
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'test', use: 'sig', alg: 'RS256' }] },
});

// answer is what somebody at the browser says, or has said by clicking; undefined while they have not.
async function answer({ prompt, params, session }, clicked) {
  const subject = params.login_hint ?? clicked ?? session?.accountId;
  if (!subject) {
    return undefined;
  }
  const person = people.find((other) => other.subject === subject);
  if (!person || person.refuses) {
    return { error: 'access_denied', error_description: 'the user refused' };
  }
  if (prompt.name === 'login') {
    return { login: { accountId: person.subject } };
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return { consent: { grantId: await grant.save() } };
}

const buttons = people.map(({ subject }) => `<button name="person" value="${subject}">${subject}</button>`);
const page = `<!doctype html><title>Sign in</title><form>Who are you? ${buttons.join(' ')}</form>`;

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith('/interaction/')) {
    return next();
  }
  const result = await answer(await provider.interactionDetails(ctx.req, ctx.res), ctx.query.person);
  if (!result) {
    ctx.type = 'html';
    ctx.body = page;
    return undefined;
  }
  ctx.respond = false;
  return provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: true });
});

provider.listen(new URL(issuer).port, '127.0.0.1');
