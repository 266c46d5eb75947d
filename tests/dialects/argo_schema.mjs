// Checks manifests against the schemas that are made of Argo's own types: `node argo_schema.mjs < manifests.json`, in a
// folder in which the package with them is installed. Prints what is wrong as JSON: [name, problems].
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const folder = path.resolve("node_modules/@kubernetes-models/argo-workflows/_schemas");

async function schema(kind) {
  const file = fs.readdirSync(folder).find((each) => each.endsWith(`V1alpha1${kind}.js`));
  return (await import(pathToFileURL(path.join(folder, file)))).validate;
}

// The schemas say nothing of fields that they do not know: those are the ones that nobody asks for.
function watched(value, at, seen) {
  if (value === null || typeof value !== "object") return value;
  const inner = {};
  return new Proxy(value, {
    get(target, key) {
      if (typeof key !== "string" || !Object.hasOwn(target, key)) return target[key];
      seen.add(`${at}/${key}`);
      inner[key] ??= watched(target[key], `${at}/${key}`, seen);
      return inner[key];
    },
  });
}

function* places(value, at) {
  if (value === null || typeof value !== "object") return;
  for (const [key, each] of Object.entries(value)) {
    yield `${at}/${key}`;
    // the items of a loop are of any form
    if (key !== "withItems") yield* places(each, `${at}/${key}`);
  }
}

function problems(document, validate) {
  const seen = new Set();
  const right = validate(watched(document, "", seen));
  const errors = (right ? [] : validate.errors).filter(
    // a container needs a name in Kubernetes, where Argo gives those of templates their names
    (each) => !(each.params.missingProperty === "name" && /^.*\/templates\/\d+\/(script|container)$/.test(each.instancePath)),
  );
  const unknown = [...places(document, "")].filter((each) => !seen.has(each));
  return [
    ...errors.map((each) => `${each.instancePath}: ${each.keyword} ${JSON.stringify(each.params)}`),
    ...unknown.map((each) => `${each}: unknown`),
  ];
}

const schemas = { Workflow: await schema("Workflow"), CronWorkflow: await schema("CronWorkflow") };
const found = [];
for (const [name, document] of JSON.parse(fs.readFileSync(0))) {
  const wrong = problems(document, schemas[document.kind]);
  if (wrong.length) found.push([name, wrong]);
}
process.stdout.write(JSON.stringify(found));
