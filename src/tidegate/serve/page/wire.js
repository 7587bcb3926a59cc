// How the page asks: requests with their problems told, and a live stream that goes on after a cut.

let token = "";

export function useToken(given) {
  token = given;
}

export async function ask(path, content) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const options = content === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(content) };
  const answer = await fetch(path, options);
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail ?? answer.statusText), { status: answer.status });
}

export async function askJson(path, content) {
  return (await ask(path, content)).json();
}

// Yields the data of server-sent events.
export async function* events(path, content) {
  const reader = (await ask(path, content)).body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const parts = held.split("\n\n");
    held = parts.pop();
    for (const part of parts) yield part.replace(/^data: /, "");
  }
}

// A live stream over a socket. `hear` is given each answer once; `tell` is told what becomes of the wire.
export class Stream {
  #steps = [];
  #sent = 0;
  #sealed = 0;
  #taken = 0;
  #token = null;
  #socket = null;

  constructor(model, options, hear, tell) {
    Object.assign(this, { model, options, hear, tell });
  }

  push(step) {
    this.#steps.push(step);
    if (this.#socket?.readyState === WebSocket.OPEN) this.#send();
  }

  connect() {
    const secret = btoa(token).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const protocols = token ? ["tidegate", `tidegate.bearer.${secret}`] : ["tidegate"];
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/v1/streams/${this.model}`, protocols);
    this.#socket = socket;
    socket.onopen = () => {
      this.tell(this.#token ? `goes on from step ${this.#sealed}, by its token` : "open");
      this.#sent = this.#sealed;
      const begin = this.#token ? { resume: this.#token } : { begin: this.options };
      this.#send({ ...begin, token: true });
    };
    socket.onmessage = (event) => this.#take(JSON.parse(event.data));
    socket.onclose = (event) => this.tell(event.code === 1012 ? "the server ended; cut" : "cut");
  }

  cut() {
    this.#socket?.close();
  }

  get taken() {
    return this.#taken;
  }

  get open() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #send(also = {}) {
    const steps = this.#steps.slice(this.#sent - this.#sealed);
    this.#socket.send(JSON.stringify({ at: this.#sent, steps, token: true, ...also }));
    this.#sent += steps.length;
  }

  #take(said) {
    if (said.error) return this.tell(said.error.detail);
    for (const answer of said.answers ?? []) if (answer.step > this.#taken) this.hear(answer);
    this.#taken = Math.max(this.#taken, said.step);
    if (!said.token || said.step > this.#taken) return;
    this.#steps.splice(0, said.step - this.#sealed);
    this.#sealed = said.step;
    this.#token = said.token;
  }
}
