// Chromium behind HTTP, for browser.go. POST {"profile", "visit": URL} or {"profile", "click": name of a button} answers
// {"url", "status", "text", "visited"} of where the tab of the profile then is; {"profile", "call": name of a function of the page,
// "with": argument} answers what it resolves to.
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM, handleSIGTERM: false,
  args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
});
const tabs = new Map(); // by profile

async function newTab() {
  const page = await (await browser.newContext()).newPage();
  const tab = { page, status: 0, visited: [] };
  const isPage = (request) => request.isNavigationRequest() && request.frame() === page.mainFrame();
  page.on('request', (request) => isPage(request) && tab.visited.push(request.url()));
  page.on('response', (response) => isPage(response.request()) && (tab.status = response.status()));
  return tab;
}

// isStill says whether a page is whole, and no longer at work by its own account.
const isStill = () => document.readyState === 'complete' && document.body.ariaBusy !== 'true';

async function act({ profile, visit, click, call, with: argument }) {
  if (!tabs.has(profile)) {
    tabs.set(profile, await newTab());
  }
  const tab = tabs.get(profile);
  if (call) {
    return await tab.page.evaluate(([name, value]) => globalThis[name](value), [call, argument]) ?? null;
  }
  tab.visited.length = 0;
  if (visit) {
    await tab.page.goto(visit, { waitUntil: 'commit' });
  } else {
    await Promise.all([tab.page.waitForEvent('framenavigated'), tab.page.getByRole('button', { name: click, exact: true }).click()]);
  }
  await tab.page.waitForFunction(isStill);
  return { url: tab.page.url(), status: tab.status, text: await tab.page.innerText('body'), visited: tab.visited };
}

http.createServer(async (request, response) => {
  try {
    response.end(JSON.stringify(request.method === 'POST' ? await act(JSON.parse(await text(request))) : browser.version()));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
}).listen(process.env.PORT, '127.0.0.1');

process.once('SIGTERM', async () => {
  await browser.close();
  process.exit();
});
