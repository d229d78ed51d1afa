// The OpenAPI document as a page.

import { element } from "./show.js";

const response = await fetch("page/openapi.json");
const api = await response.json();
const main = document.getElementById("operations");
const about = element("section");
const link = element("p");
link.append("As a document for programs: ", element("a", "openapi.json", { href: "page/openapi.json" }));
about.append(element("p", api.info.description), link);
main.append(about);

function details(method, path, operation) {
  const made = element("details"), summary = element("summary");
  summary.append(element("span", method.toUpperCase(), { className: "method" }), element("code", path), ` ${operation.summary}`);
  made.append(summary);
  if (operation.description) made.append(element("p", operation.description));
  const list = element("dl");
  for (const parameter of operation.parameters ?? []) list.append(element("dt", parameter.name), element("dd", parameter.description));
  const bodies = operation.requestBody?.content ?? {};
  if (operation.requestBody) list.append(element("dt", "body"), element("dd", Object.keys(bodies).join(", ")));
  for (const { example } of Object.values(bodies)) if (example) made.append(element("pre", typeof example === "string" ? example : JSON.stringify(example)));
  for (const [status, { description }] of Object.entries(operation.responses)) list.append(element("dt", status), element("dd", description));
  made.append(list);
  return made;
}

for (const { name, description } of api.tags) {
  const section = element("section");
  section.append(element("h2", name), element("p", description));
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (operation.tags[0] === name) section.append(details(method, path, operation));
    }
  }
  main.append(section);
}
