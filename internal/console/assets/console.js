"use strict";
// What pages do beyond links and forms: copying, asking before something is revoked, the playground, and spans that grow.

const find = (id) => document.getElementById(id);

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const text = find(button.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const range = document.createRange(); // a page without a secure origin has no clipboard: select, so that one key copies
    range.selectNodeContents(find(button.dataset.copy));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// Live parts: a page that no longer hears from the server says so.
document.addEventListener("htmx:sse:error", () => { find("offline").hidden = false; });
document.addEventListener("htmx:sse:after:connection", () => { find("offline").hidden = true; });

// A button whose page takes a while says so, and is pressed once.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.defaultPrevented || !button?.dataset.busy) return;
  button.dataset.rest = button.textContent;
  button.textContent = button.dataset.busy;
  setTimeout(() => { button.disabled = true; }); // not before the form is sent
});
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[data-rest]")) {
    button.disabled = false;
    button.textContent = button.dataset.rest;
  }
});

// Spans that grow while something lasts.
const spanText = (ms) => (ms < 60000 ? (ms / 1000).toFixed(1) + " s" : Math.floor(ms / 60000) + " min " + Math.floor((ms % 60000) / 1000) + " s");
setInterval(() => {
  for (const e of document.querySelectorAll("[data-since]")) e.textContent = spanText(Math.max(0, Date.now() - Date.parse(e.dataset.since)));
}, 200);

// The playground.
const form = find("chat");
if (form) {
  const talk = find("talk"), prompt = find("prompt"), send = find("send"), cut = find("cut");
  const figures = Object.fromEntries([...find("figures").querySelectorAll("[data-figure]")].map((e) => [e.dataset.figure, e]));
  const messages = [];
  let running = null;

  const say = (who, text) => {
    talk.querySelector("p.help")?.remove();
    const line = document.createElement("div");
    line.className = "said " + who;
    line.textContent = text;
    talk.append(line);
    talk.scrollTop = talk.scrollHeight;
    return line;
  };

  const clear = () => { for (const e of Object.values(figures)) e.textContent = "–"; };
  const ms = (n) => (n < 1000 ? n.toFixed(0) + " ms" : (n / 1000).toFixed(2) + " s");

  // Events of a stream, as the EventSource standard has them; comments too, which say what a request waits for.
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      const lines = rest.split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data:")) yield { data: line.slice(5).trim() };
        else if (line.startsWith(":")) yield { note: line.slice(1).trim() };
      }
    }
  }

  async function ask(text) {
    messages.push({ role: "user", content: text });
    say("user", text);
    clear();
    const line = say("assistant waits", "");
    const began = performance.now();
    const ticking = setInterval(() => { figures.wait.textContent = ms(performance.now() - began); }, 100);
    running = new AbortController();
    send.disabled = true;
    cut.disabled = false;
    let first = 0, tokens = 0, answer = "";
    try {
      const response = await fetch(form.dataset.url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          model: form.dataset.model, messages, stream: true, stream_options: { include_usage: true },
          max_tokens: Number(find("most").value) || 256,
        }),
        signal: running.signal,
      });
      if (!response.ok) {
        const why = await response.json().catch(() => null);
        throw new Error(why?.error?.message ?? "The server answered " + response.status + ".");
      }
      for await (const event of events(response.body)) {
        if (event.note !== undefined || event.data === "[DONE]") continue;
        const chunk = JSON.parse(event.data);
        if (chunk.error) throw new Error(chunk.error.message);
        const delta = chunk.choices?.[0]?.delta?.content;
        if (delta) {
          if (!first) {
            first = performance.now();
            clearInterval(ticking);
            line.classList.remove("waits");
          }
          tokens++;
          answer += delta;
          const low = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 40;
          line.textContent = answer;
          if (low) talk.scrollTop = talk.scrollHeight;
          if (tokens > 1) figures.speed.textContent = ((tokens - 1) / ((performance.now() - first) / 1000)).toFixed(1) + " tokens/s";
        }
        const receipt = chunk.pilotlight;
        if (receipt) {
          figures.wait.textContent = ms((receipt.queue_us + receipt.activate_us) / 1000) + (receipt.start === "hot" ? ", hot" : ", from " + receipt.start);
          figures.ttft.textContent = ms(receipt.ttft_us / 1000);
          figures.billed.textContent = (receipt.billed_us / 1000).toFixed(3) + " ms";
          figures.cost.textContent = "$" + receipt.cost_usd;
          const out = chunk.usage?.completion_tokens, streamed = (receipt.upstream_us - receipt.ttft_us) / 1e6;
          if (out > 1 && streamed > 0) figures.speed.textContent = ((out - 1) / streamed).toFixed(1) + " tokens/s";
        }
      }
      messages.push({ role: "assistant", content: answer });
    } catch (error) {
      line.classList.add("bad");
      line.textContent = answer + (answer ? "\n" : "") + (running.signal.aborted ? "Stopped." : error.message);
      messages.pop();
    } finally {
      clearInterval(ticking);
      line.classList.remove("waits");
      running = null;
      send.disabled = false;
      cut.disabled = true;
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = prompt.value.trim();
    if (!text || running) return;
    prompt.value = "";
    ask(text);
  });
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  cut.addEventListener("click", () => running?.abort());
}
