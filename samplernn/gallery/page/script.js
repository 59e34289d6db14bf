"use strict";
// The page's data: `cards`, the excerpts in the order of their files, or shuffled; `gallery`, by which this browser knows
// its stars; `folder`, where the clips are; `blind`, whether it is hidden how an excerpt was made until it has stars.
const data = JSON.parse(document.getElementById("data").textContent);
const cards = data.cards;
const byId = (id) => document.getElementById(id);
const audio = byId("audio"), list = byId("list"), map = byId("map");
const COLOURS = ["#1f77b4", "#d95f02", "#1b9e77", "#b5179e", "#7570b3", "#a6761d", "#e31a1c", "#0096a0", "#5f8700", "#8c564b", "#666666", "#8a6d00"];
const BATCH = 60;  // rows that are added to the list at once
const STORE = "listen:" + data.gallery;

let keeps = true;  // whether this browser keeps the stars
let stars = readStars();
let shown = [];  // the cards that the filters let through, in order
let selected = null;
let playing = null;  // the card that was played last, if it is still the selected one

// --- Stars ---

function readStars() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(STORE)) || {};
    localStorage.setItem(STORE, JSON.stringify(kept));
  } catch {
    keeps = false;  // as browsers may do for files
  }
  return Object.fromEntries(Object.entries(kept).filter(([, number]) => [1, 2, 3, 4, 5].includes(number)));
}

function rate(card, number) {
  if (number) stars[card.id] = number; else delete stars[card.id];
  try {
    localStorage.setItem(STORE, JSON.stringify(stars));
  } catch {
    keeps = false;
  }
  refresh(card);
  summarize();
}

const starsOf = (card) => stars[card.id] || 0;
const isHidden = (card) => data.blind && !starsOf(card);

// --- Filters and order ---

// The value of a choice is "=" and what it stands for, so that no name is taken for "any" or "none".
function choices(id, values) {
  const select = byId(id);
  for (const value of values) select.add(new Option(value, `=${value}`));
  select.addEventListener("change", update);
}

const distinct = (of) => [...new Set(cards.flatMap(of))].filter((value) => value !== null);
const byNumber = (a, b) => (Number.isFinite(a - b) ? a - b : String(a).localeCompare(String(b)));
const NEAR_COPY = "near copy";
choices("flag", distinct((card) => card.flags).concat(cards.some((card) => card.copy) ? [NEAR_COPY] : []));
choices("epoch", distinct((card) => card.epoch).sort(byNumber));
choices("temperature", distinct((card) => card.temperature).sort(byNumber));
choices("checkpoint", distinct((card) => card.checkpoint));
byId("order").addEventListener("change", update);
byId("min-stars").addEventListener("change", update);
if (data.blind) {
  for (const label of document.querySelectorAll(".made")) label.hidden = true;
  byId("order").options[0].text = "shuffled";
}
if (!cards.some((card) => card.distance !== null))
  for (const option of byId("order").options) option.disabled = ["distance", "near"].includes(option.value);

function passes(card) {
  const flag = byId("flag").value;
  const flags = card.copy ? [...card.flags, NEAR_COPY] : card.flags;
  const equal = (id, value) => byId(id).value === "" || byId(id).value === `=${value}`;
  return starsOf(card) >= Number(byId("min-stars").value)
    && (flag === "" || (flag === "none" ? !flags.length : flags.includes(flag.slice(1))))
    && equal("epoch", card.epoch) && equal("temperature", card.temperature) && equal("checkpoint", card.checkpoint);
}

function distance(card, other) {
  return Math.hypot(...card.point.map((value, i) => value - other.point[i]));
}

const ORDERS = {
  order: (card) => card.order,
  novelty: (card) => -card.novelty,
  similar: (card) => (selected ? distance(card, selected) : card.order),
  distance: (card) => -card.distance,
  near: (card) => card.distance,
  stars: (card) => -starsOf(card),
};

function update() {
  const key = ORDERS[byId("order").value];
  shown = cards.filter(passes).map((card) => [key(card), card]).sort(([a], [b]) => a - b).map(([, card]) => card);
  list.replaceChildren();
  if (shown.length) addRows();
  else list.append(made("li", "nothing", "Nothing passes these filters."));
  const among = new Set(shown);
  if (playing && !among.has(playing)) stop();
  if (!among.has(selected)) selected = null;
  for (const card of cards) card.dot.classList.toggle("out", !among.has(card));
  summarize();
  markSelected();
}

function summarize() {
  const rated = `${shown.length} of ${cards.length} excerpts, ${shown.filter(starsOf).length} with stars`;
  say(keeps ? rated : `${rated}; this browser does not keep them: export them before you close the page`);
}

function say(text) {
  byId("summary").textContent = text;
}

// --- The list ---

function made(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
const titleOf = (card) => (isHidden(card) ? `Excerpt ${card.order + 1}` : `${card.name}, ${clock(card.start)} to ${clock(card.end)}`);

function makeRow(card) {
  const row = made("li");
  row.dataset.order = card.order;
  const player = made("button", "player");
  player.type = "button";
  const picture = made("img");
  picture.loading = "lazy";
  picture.alt = "";
  picture.src = card.picture;
  player.append(picture, made("span", "cursor"), made("span", "state", "▶"));
  player.addEventListener("click", (event) => {
    const box = player.getBoundingClientRect();
    select(card);
    if (event.detail > 0) play(card, (event.clientX - box.left) / box.width);
    else toggle();  // by a key, which has no place
  });
  const about = made("div", "about");
  const like = made("button", "like", "More like this");
  like.type = "button";
  like.addEventListener("click", () => {
    select(card);
    byId("order").value = "similar";
    update();
  });
  const rating = made("div", "rating");
  rating.append(starButtons(card), like);
  about.append(made("div", "name"), rating, made("div", "facts"));
  const copy = card.copy;
  if (copy) about.append(made("div", "warning",
    `Near copy (${copy.alike.toFixed(2)}): ${clock(copy.start)} to ${clock(copy.end)} as ${copy.name} from ${clock(copy.second)} on`));
  if (card.flags.length) about.append(made("div", "warning", `Doubtful: ${card.flags.join(", ")}`));
  row.append(player, about);
  row.addEventListener("click", () => select(card));
  row.addEventListener("focusin", () => select(card));
  fill(row, card);
  return row;
}

// Put into a row what depends on its stars.
function fill(row, card) {
  row.querySelector(".name").textContent = titleOf(card);
  row.querySelector(".facts").textContent = factsOf(card);
  row.querySelectorAll(".stars button").forEach((button, i) => {
    button.textContent = i < starsOf(card) ? "★" : "☆";
    button.setAttribute("aria-pressed", String(i < starsOf(card)));
  });
  label(row, card);
}

function label(row, card) {
  const does = playing === card && !audio.paused ? "Pause" : "Play";
  row.querySelector(".player").setAttribute("aria-label", `${does} ${titleOf(card)}; a click begins where it is`);
}

function refresh(card) {
  const row = rowOf(card);
  if (row) fill(row, card);
}

function factsOf(card) {
  const told = [];
  if (!isHidden(card)) {
    if (card.epoch !== null) told.push(`epoch ${card.epoch}`);
    if (card.temperature !== null) told.push(`temperature ${card.temperature}`);
    if (card.checkpoint !== null) told.push(card.checkpoint);
  }
  told.push(`cluster ${card.cluster + 1}`, `novelty ${card.novelty.toFixed(2)}`);
  if (card.distance !== null) told.push(`${card.distance.toFixed(2)} from ${card.nearest.name} at ${clock(card.nearest.second)}`);
  return told.join(" · ");
}

function starButtons(card) {
  const group = made("div", "stars");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Stars");
  for (let number = 1; number <= 5; number++) {
    const button = made("button");
    button.type = "button";
    button.setAttribute("aria-label", `${number} ${number === 1 ? "star" : "stars"}`);
    button.addEventListener("click", () => {
      select(card);
      rate(card, number === starsOf(card) ? 0 : number);
    });
    group.append(button);
  }
  return group;
}

const rowOf = (card) => list.querySelector(`li[data-order="${card.order}"]`);
const more = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) addRows(); });

function addRows() {
  const there = list.children.length;
  list.append(...shown.slice(there, there + BATCH).map(makeRow));
  more.disconnect();
  if (list.children.length < shown.length) more.observe(list.lastElementChild);
  markSelected();
}

// --- What is selected, and heard ---

function select(card) {
  if (selected !== card && playing) stop();
  selected = card;
  markSelected();
}

function markSelected() {
  for (const row of list.querySelectorAll(".selected")) {
    row.classList.remove("selected");
    row.removeAttribute("aria-current");
  }
  for (const dot of map.querySelectorAll(".selected")) dot.classList.remove("selected");
  if (!selected) return;
  selected.dot.classList.add("selected");
  const row = rowOf(selected);
  if (row) {
    row.classList.add("selected");
    row.setAttribute("aria-current", "true");
  }
}

function move(by) {
  if (!shown.length) return;
  const at = shown.indexOf(selected);
  const next = at < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, at + by));
  const wasPlaying = playing !== null && !audio.paused;
  select(shown[next]);
  while (!rowOf(selected)) addRows();
  rowOf(selected).querySelector(".player").focus();  // which scrolls there
  if (wasPlaying) play(selected, 0);
}

function play(card, part) {
  const at = card.start + part * (card.end - card.start);
  playing = card;
  if (audio.dataset.file !== card.file) {
    audio.src = card.file;
    audio.dataset.file = card.file;
  }
  audio.currentTime = at;
  start();
}

function start() {
  const card = playing;
  audio.play().catch((error) => {
    if (error.name === "AbortError") return;  // another one was asked for meanwhile
    say(`${titleOf(card)} cannot be played: is the clip still there?`);
  });
}

function stop() {
  audio.pause();
  showCursor(false);
  const card = playing;
  playing = null;
  refresh(card);
}

function toggle() {
  if (!selected) move(0);
  if (!selected) return;
  if (playing === selected && !audio.paused) audio.pause();
  else if (playing === selected && audio.currentTime < selected.end - 0.05) start();
  else play(selected, 0);
}

function showCursor(visible) {
  const row = playing && rowOf(playing);
  if (!row) return;
  const cursor = row.querySelector(".cursor");
  cursor.style.display = visible ? "block" : "none";
  cursor.style.left = `${(100 * (audio.currentTime - playing.start)) / (playing.end - playing.start)}%`;
  row.querySelector(".state").textContent = audio.paused ? "▶" : "❚❚";
  label(row, playing);
}

audio.addEventListener("timeupdate", () => {
  if (playing && audio.currentTime >= playing.end) audio.pause();
  showCursor(true);
});
for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, () => showCursor(true));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("select, summary")) return;
  const key = event.key;
  if (key === " " && !event.target.closest(".stars button, .like, #export")) toggle();
  else if (key === "j") move(1);
  else if (key === "k") move(-1);
  else if (/^[0-5]$/.test(key) && selected) rate(selected, Number(key));
  else if (key === "ArrowRight" && playing) audio.currentTime = Math.min(playing.end, audio.currentTime + 1);
  else if (key === "ArrowLeft" && playing) audio.currentTime = Math.max(playing.start, audio.currentTime - 1);
  else return;
  event.preventDefault();
});

// --- The map ---

for (const card of cards) {
  card.dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  card.dot.setAttribute("cx", 100 * card.x);
  card.dot.setAttribute("cy", 100 * (1 - card.y));
  card.dot.setAttribute("r", cards.length > 500 ? 0.9 : 1.6);
  card.dot.setAttribute("fill", COLOURS[card.cluster % COLOURS.length]);
  card.dot.addEventListener("click", () => {
    select(card);
    if (!shown.includes(card)) return;
    while (!rowOf(card)) addRows();
    rowOf(card).scrollIntoView({ block: "center" });
    play(card, 0);
  });
  map.append(card.dot);
}

// --- Export ---

byId("export").addEventListener("click", () => {
  const picks = shown.filter(passes).filter(starsOf).sort((a, b) => starsOf(b) - starsOf(a))
    .map((card) => ({ clip: card.name, start: card.start, end: card.end, stars: starsOf(card) }));
  if (!picks.length) {
    say("Nothing that is shown has stars yet.");
    return;
  }
  const content = JSON.stringify({ version: 1, folder: data.folder, picks }, null, 2) + "\n";
  const link = made("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  link.download = "picks.json";
  link.click();
  URL.revokeObjectURL(link.href);
  say(`${picks.length} ${picks.length === 1 ? "pick" : "picks"} exported: python listen.py --export picks.json --output_dir album`);
});

update();
