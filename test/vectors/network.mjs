// A server on loopback that answers one request after the other as a script says, and the failures of the way to it.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { Failure } from './provisioning.mjs';

export class Network {
  static async start() {
    const network = new Network();
    network.server = createServer((request, response) => {
      const { failure, status, headers, body } = network.answer ?? { status: 599, body: 'one request too many' };
      if (failure) return request.socket.destroy();
      request.resume().on('end', () => response.writeHead(status, headers).end(body));
    });
    network.base = await address(network.server);
    const closed = createServer();
    network.nobody = await address(closed); // a port of ours, on which nobody listens
    closed.close();
    return network;
  }

  // play takes a list of {status, headers, body} or {failure}, for as many requests.
  play(answers) { Object.assign(this, { answers: [...answers], requests: [] }); }

  // request sends a request to this server, whatever its URL, and returns {status, headers, body} or throws a Failure.
  request = async (method, url, headers, body) => {
    const { pathname } = new URL(url);
    this.requests.push({ request: `${method} ${pathname}`, headers, body });
    this.answer = this.answers.shift();
    const failure = this.answer?.failure;
    if (['connectionTimeout', 'receiveTimeout', 'badCertificate'].includes(failure)) throw new Failure(failure);
    try {
      const base = failure === 'connectionError' ? this.nobody : this.base;
      const response = await fetch(base + pathname, { method, headers, body, redirect: 'manual' });
      return { status: response.status, headers: response.headers, body: await response.text() };
    } catch (error) {
      throw new Failure(error.cause?.code === 'ECONNREFUSED' ? 'connectionError' : 'connectionLost');
    }
  };

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

async function address(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}
