// What can be asked, drawn from the server's own OpenAPI document; each request can be sent from here.

import { ask, askJson, useToken } from "/page/wire.js";
import { element } from "/page/chart.js";

const find = (id) => document.getElementById(id);
const EXAMPLES = { "/v1/predict": { texts: ["a moving film"] }, "/v1/look": { texts: ["a moving film"] } };
let schemas = {};

function tell(problem, status = 0) {
  find("problem").textContent = problem;
  find("problem").hidden = !problem;
  if (status === 401) find("token-label").hidden = false;
}

// A schema in words: names of types, those of fields in braces.
function spelled(schema, depth = 0) {
  if (!schema) return "";
  const name = schema.$ref?.split("/").pop();
  if (name) return depth ? name : spelled(schemas[name], depth);
  if (schema.anyOf) return schema.anyOf.map((each) => spelled(each, depth + 1)).join(" | ");
  if (schema.type === "array") return `[${spelled(schema.items, depth + 1) || "any"}]`;
  if (schema.properties) {
    const fields = Object.entries(schema.properties).map(([field, of]) => {
      const must = schema.required?.includes(field) ? "" : "?";
      return `  ${field}${must}: ${spelled(of, depth + 1) || "any"}`;
    });
    return `{\n${fields.join("\n")}\n}`;
  }
  return schema.type ?? "any";
}

function route(path, method, told, models) {
  const body = told.requestBody?.content["application/json"].schema;
  const inner = [element("p", { className: "note", textContent: schemas[body?.$ref?.split("/").pop()]?.description ?? "" })];
  for (const given of told.parameters) {
    inner.push(element("p", { className: "note", textContent: `${given.name} (${given.in}) ${given.description ?? ""}` }));
  }
  if (body) inner.push(element("pre", { textContent: spelled(body) }));
  const [kind, answer] = Object.entries(told.responses[200].content)[0];
  inner.push(element("pre", { textContent: `${kind}\n${spelled(answer.schema)}` }));
  inner.push(...trial(path, method, body, models));
  const title = element("summary", {}, element("b", { textContent: `${method.toUpperCase()} ` }), path, ` · ${told.summary}`);
  return element("details", {}, title, ...inner);
}

// A box for the body, and what the server says to it.
function trial(path, method, body, models) {
  const place = path.replace("{model}", models[0]?.name ?? "model");
  const said = element("pre", { className: "said" });
  const send = element("button", { type: "button", textContent: `Send to ${place}` });
  const asked = element("textarea", { rows: 3, spellcheck: false, ariaLabel: `What to send to ${place}` });
  const named = path.startsWith("/v1/") && !path.includes("{model}") && models.length > 1 ? { model: models[0].name } : {};
  asked.value = JSON.stringify({ ...named, ...EXAMPLES[path] });
  send.onclick = async () => {
    try {
      const options = method === "post" ? (body ? JSON.parse(asked.value) : {}) : undefined;
      const text = await (await ask(place, options)).text();
      said.textContent = text.startsWith("{") ? JSON.stringify(JSON.parse(text), null, 1) : text;
    } catch (error) {
      said.textContent = error.message;
    }
  };
  return body ? [asked, send, said] : [send, said];
}

async function begin() {
  try {
    const [document, { models }] = await Promise.all([askJson("/openapi.json"), askJson("/v1/models")]);
    schemas = document.components.schemas;
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, told]) => route(path, method, told, models)),
    );
    find("routes").replaceChildren(...routes);
    tell("");
  } catch (error) {
    tell(error.message, error.status);
  }
}

find("token-label").onsubmit = (event) => {
  event.preventDefault();
  useToken(find("token").value);
  begin();
};
begin();
