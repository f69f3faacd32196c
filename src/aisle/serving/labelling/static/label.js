// One text at a time: show it, send what is said of it, show the next. Texts are only ever set as text.
"use strict";
const words = JSON.parse(document.body.dataset.words);
const at = (id) => document.getElementById(id);
let now = null;
let isBusy = false;

function button(word, key, act) {
  const made = document.createElement("button");
  const mark = document.createElement("kbd");
  made.type = "button";
  made.textContent = word;
  mark.textContent = key;
  made.append(mark);
  made.addEventListener("click", act);
  return made;
}

function show(standing) {
  now = standing;
  const isOpen = now.text !== null;
  const counted = Object.entries(now.counts).map(([label, n]) => `${label} ${n}`);
  at("count").textContent = [`${words.saved} ${now.n_labelled}`, `${words.left} ${now.n_open}`, ...counted].join(" · ");
  at("bar").max = now.n_labelled + now.n_open || 1;
  at("bar").value = now.n_labelled;
  at("text").textContent = isOpen ? now.text : words.done;
  at("text").scrollTop = 0;
  at("problem").textContent = now.problem ?? "";
  at("labels").replaceChildren(...(isOpen ? now.keys.map(([key, label]) => button(label, key, () => say(label))) : []));
  at("others").replaceChildren(...(isOpen ? [button(words.skip, "s", skip)] : []), button(words.undo, "u", undo));
}

const say = (label) => ask("/say", { text: now.text, label });
const skip = () => ask("/skip", { text: now.text });
const undo = () => ask("/undo", {});

async function ask(path, body) {
  if (isBusy) return;
  isBusy = true;
  try {
    const how = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    show(await (await fetch(path, how)).json());
  } catch {
    at("problem").textContent = words.lost;
  } finally {
    isBusy = false;
  }
}

document.addEventListener("keydown", (event) => {
  if (now === null || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const key = event.key.toLowerCase();
  const said = now.keys.find(([own]) => own === key);
  if (key === "u") undo();
  else if (now.text !== null && key === "s") skip();
  else if (now.text !== null && said) say(said[1]);
});
ask("/standing");
