"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const el = (tag, props = {}, ...kids) => {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...kids);
  return e;
};
const svg = (tag, attrs = {}) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
  return e;
};
const number = (v) => v == null ? "–" : Math.abs(v) >= 100 ? v.toFixed(0) : Math.abs(v) >= 1 ? v.toFixed(2) : v.toFixed(4);

/* Theme */
const theme = (name) => { document.documentElement.dataset.theme = name; };
theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
const flip = () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
$("theme").onclick = flip;

/* Videos: base64 in the page, decoded when they come into sight, freed when they leave it. */
const blobs = new Map();
const source = (clip) => {
  if (!blobs.has(clip.i)) {
    const bytes = Uint8Array.from(atob($("mp4-" + clip.i).textContent), (c) => c.charCodeAt(0));
    blobs.set(clip.i, URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })));
  }
  return blobs.get(clip.i);
};
const release = (clip) => {
  if (blobs.has(clip.i) && !(open && open.i === clip.i)) { URL.revokeObjectURL(blobs.get(clip.i)); blobs.delete(clip.i); }
};
const play = (video) => video.play().catch(() => {}); // a video that leaves the page meanwhile is no error

/* Clips: columns -> objects */
const clips = D.clips.id.map((id, i) => ({
  i, id, sequence: D.clips.sequence[i], variant: D.clips.variant[i], split: D.clips.split[i], start: D.clips.start[i],
  frames: D.clips.frames[i], link: D.clips.link[i], odd: D.odd[i] || [], alike: D.alike[i] || [],
  mean: (m) => D.clips.mean[m][i], worst: (m) => D.clips.worst[m][i], poster: D.posters[i], series: D.series[i],
}));
const title = (c) => c.sequence + (D.variants.length > 1 ? " · variant " + c.variant : "");
const described = (c) => D.variants.find((v) => v.number === c.variant)?.description;
const counted = (n, noun) => n + " " + noun + (n === 1 ? "" : "s");
const measure = Object.fromEntries(D.measures.map((m) => [m.key, m]));

/* Filters */
const state = { bin: null, list: [], shown: 0, playing: false, at: -1 };
const fill = (select, options) => select.append(...options.map(([value, text]) => el("option", { value, textContent: text })));
fill($("sort"), [["", "as published"], ...D.measures.flatMap((m) => [[m.key + ":worst", m.title + ", worst first"], [m.key + ":best", m.title + ", best first"]])]);
const splits = [...new Set(clips.map((c) => c.split))].sort();
fill($("split"), [["", "all"], ...splits.map((s) => [s, s])]);
fill($("variant"), [["", "all"], ...D.variants.map((v) => [String(v.number), v.number + ": " + v.description])]);
$("split").parentElement.hidden = splits.length < 2;
$("variant").parentElement.hidden = D.variants.length < 2;
$("odd").parentElement.hidden = !clips.some((c) => c.odd.length);
$("alike").parentElement.hidden = !clips.some((c) => c.alike.length);
$("video").checked = clips.some((c) => !c.poster);
$("video").parentElement.hidden = !$("video").checked;

const passes = (c) => {
  const q = $("q").value.trim().toLowerCase();
  return (!q || c.sequence.toLowerCase().includes(q) || c.id.startsWith(q))
    && (!$("split").value || c.split === $("split").value)
    && (!$("variant").value || String(c.variant) === $("variant").value)
    && (!$("video").checked || c.poster) && (!$("odd").checked || c.odd.length) && (!$("alike").checked || c.alike.length)
    && (!state.bin || (c.worst(state.bin.key) >= state.bin.low && c.worst(state.bin.key) <= state.bin.high));
};
const order = (a, b) => {
  const [key, end] = $("sort").value.split(":");
  if (!key) return a.i - b.i;
  const x = a.mean(key), y = b.mean(key);
  if (x == null || y == null) return (x == null) - (y == null) || a.i - b.i;
  return ((measure[key].worst === "low") === (end === "worst") ? x - y : y - x) || a.i - b.i;
};
const apply = () => {
  state.list = clips.filter(passes).sort(order);
  state.shown = 0;
  state.at = -1;
  seen.disconnect();
  $("cards").replaceChildren();
  const rest = D.total - clips.length;
  $("count").textContent = state.list.length + " of " + counted(D.total, "clip")
    + (rest > 0 ? "; " + rest + " more only in the manifest" : "")
    + (clips.some((c) => !c.poster) ? "; with videos of the best and worst by each measure, and of a sample" : "");
  $("bin").hidden = !state.bin;
  if (state.bin) $("bin").textContent = measure[state.bin.key].title + " " + number(state.bin.low) + " to " + number(state.bin.high) + " ✕";
  more();
};
const more = () => {
  const next = state.list.slice(state.shown, state.shown + 24);
  next.forEach((c, k) => $("cards").append(card(c, state.shown + k)));
  state.shown += next.length;
};

const card = (c, at) => {
  const shown = D.card.filter((m) => c.mean(m) != null);
  const sorted = $("sort").value.split(":")[0];
  if (sorted && !shown.includes(sorted) && c.mean(sorted) != null) shown.unshift(sorted);
  const text = el("div", { className: "text" },
    el("div", { className: "head" }, el("span", { textContent: c.sequence }), el("small", { textContent: "from " + c.start.toFixed(1) + " s, " + counted(c.frames, "frame") })),
    ...(D.variants.length > 1 ? [el("div", { className: "description", textContent: "variant " + c.variant + ": " + described(c) })] : []),
    el("div", { className: "values" }, ...shown.map((m) => el("span", {}, measure[m].title + " ", el("b", { textContent: number(c.mean(m)) })))),
  );
  const tags = [...c.odd.map((m) => el("span", { className: "tag", textContent: measure[m].title.toLowerCase() + " stands out" })),
    ...(c.alike.length ? [el("span", { className: "tag plain", textContent: "looks like " + c.alike.length + (c.alike.length > 1 ? " others" : " other") })] : [])];
  if (tags.length) text.append(el("div", { className: "values" }, ...tags));
  if (!c.poster) {
    const link = el("a", { href: c.link, textContent: "data file" });
    return el("div", { className: "card" }, el("div", { className: "none" }, "No video on this page; its frames are in the ", link, "."), text);
  }
  const video = el("video", { muted: true, loop: true, playsInline: true, preload: "none", poster: "data:image/jpeg;base64," + c.poster });
  const media = el("div", { className: "media" }, video);
  if (D.named) media.append(el("div", { className: "names" }, ...D.panels.map((name) => el("span", { textContent: name }))));
  media.style.aspectRatio = D.size[0] + "/" + D.size[1];
  const node = el("button", { type: "button", className: "card has" }, media, text);
  node.setAttribute("aria-label", "Open " + title(c));
  node.dataset.at = at;
  node.clip = c;
  node.onclick = () => show(at);
  node.onmouseenter = node.onfocus = () => { video.src ||= source(c); play(video); };
  node.onmouseleave = node.onblur = () => { if (!state.playing) video.pause(); };
  seen.observe(node);
  return node;
};
const seen = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
  const video = target.querySelector("video");
  if (isIntersecting) {
    if (state.playing) { video.src ||= source(target.clip); play(video); }
  } else if (video.getAttribute("src")) {
    video.pause(); video.removeAttribute("src"); video.load(); release(target.clip);
  }
}), { rootMargin: "100px" });
new IntersectionObserver((entries) => { if (entries[0].isIntersecting && state.shown && state.shown < state.list.length) more(); }, { rootMargin: "600px" }).observe($("more"));

const togglePlay = () => {
  state.playing = !state.playing;
  $("play").textContent = state.playing ? "❚❚ pause all" : "▶ play all on screen";
  document.querySelectorAll(".card.has").forEach((node) => {
    const box = node.getBoundingClientRect(), video = node.querySelector("video");
    if (state.playing && box.bottom > 0 && box.top < innerHeight) { video.src ||= source(node.clip); play(video); } else video.pause();
  });
};
$("play").onclick = togglePlay;
$("bin").onclick = () => { state.bin = null; plots(); apply(); };
$("filters").addEventListener("input", apply);

/* Distributions */
const plots = () => $("plots")?.replaceChildren(...D.measures.filter((m) => D.histograms[m.key]).map(plot));
const plot = (m) => {
  const h = D.histograms[m.key], gates = D.gates[m.key] || {}, most = Math.max(...h.counts), total = h.counts.reduce((a, b) => a + b);
  const bounds = Object.values(gates);
  const low = Math.min(h.low, ...bounds), high = Math.max(h.high, ...bounds), span = high - low || 1e-6;
  const x = (v) => (v - low) / span * 320, wide = ((h.high - h.low) || 1e-6) / h.counts.length;
  const chart = svg("svg", { viewBox: "0 0 320 100", preserveAspectRatio: "none", role: "img", "aria-label": m.title });
  h.counts.forEach((n, k) => {
    const from = h.low + k * wide, left = x(from), width = Math.max(wide / span * 320, 2), tall = n ? Math.max(100 * n / most, 1.5) : 0;
    const group = svg("g");
    if (state.bin && state.bin.key === m.key && state.bin.k === k) group.setAttribute("class", "on");
    group.append(svg("rect", { class: "see", x: left, y: 100 - tall, width: Math.max(width - 1, 1), height: tall }), svg("rect", { class: "hit", x: left, y: 0, width, height: 100 }));
    const tip = svg("title");
    tip.textContent = number(from) + " to " + number(from + wide) + ": " + (100 * n / total).toFixed(1) + "% of frames";
    group.append(tip);
    group.onclick = () => {
      const on = state.bin && state.bin.key === m.key && state.bin.k === k;
      state.bin = on ? null : { key: m.key, k, low: from, high: from + wide };
      $("video").checked = false;
      plots(); apply();
      if (!on) $("clips").scrollIntoView();
    };
    chart.append(group);
  });
  bounds.forEach((v) => chart.append(svg("line", { class: "gate", x1: x(v), x2: x(v), y1: 0, y2: 100 })));
  const said = Object.entries(gates).map(([side, v]) => el("span", { className: "g", textContent: "gate: " + (side === "max" ? "at most " : "at least ") + number(v) }));
  return el("figure", { className: "plot" }, el("figcaption", {}, el("b", { textContent: m.title }), el("span", { textContent: m.meaning })), chart,
    el("div", { className: "ends" }, el("span", { textContent: number(low) }), ...said, el("span", { textContent: number(high) })));
};

/* Viewer */
let open = null;
const viewer = $("viewer"), video = $("v-video"), stage = $("stage");
const SPEEDS = [1, 0.5, 0.25];
let speed = 0;
const frame = () => Math.min(Math.floor(video.currentTime * D.fps + 0.01), open ? open.frames - 1 : 0);
const seek = (f) => { video.pause(); video.currentTime = (Math.max(0, Math.min(f, open.frames - 1)) + 0.5) / D.fps; };
D.panels.forEach((name, k) => {
  $("v-names").append(el("span", { textContent: name }));
  $("v-zoom").append(el("button", { type: "button", textContent: name, title: "Key " + (k + 1), onclick: () => zoom(stage.dataset.zoom === String(k + 1) ? 0 : k + 1) }));
});
const zoom = (k) => {
  stage.dataset.zoom = k;
  [...$("v-names").children, ...$("v-zoom").children].forEach((node, i) => node.classList.toggle("on", i % 4 === k - 1));
};
zoom(0);
const show = (at) => {
  const c = state.list[at];
  if (!c || !c.poster) return;
  const before = open;
  open = c;
  state.at = at;
  $("v-title").textContent = title(c);
  $("v-sub").textContent = [described(c), "from " + c.start.toFixed(2) + " s", c.split].filter(Boolean).join(" · ");
  stage.style.aspectRatio = D.size[0] + "/" + D.size[1];
  stage.style.maxWidth = "calc(58vh * " + D.size[0] / D.size[1] + ")";
  video.poster = "data:image/jpeg;base64," + c.poster;
  video.src = source(c);
  video.playbackRate = video.defaultPlaybackRate = SPEEDS[speed];
  if (before && before.i !== c.i) release(before);
  $("v-at").max = c.frames - 1;
  curves(c);
  const facts = [["clip", c.id], ["data file", el("a", { href: c.link, textContent: D.clips.shard[c.i] + ", row group " + D.clips.row_group[c.i] })]];
  if (c.odd.length) facts.push(["stands out in", c.odd.map((m) => measure[m].title.toLowerCase()).join(", ")]);
  if (c.alike.length) facts.push(["looks like", c.alike.slice(0, 8).map((k) => title(clips[k]) + " at " + clips[k].start.toFixed(1) + " s").join(", ")]);
  $("v-facts").replaceChildren(...facts.flatMap(([k, v]) => [el("dt", { textContent: k }), el("dd", {}, v)]));
  if (!viewer.open) viewer.showModal();
  play(video);
};
const curves = (c) => $("v-series").replaceChildren(...D.measures.filter((m) => c.series && c.series[m.key]).map((m) => {
  const values = c.series[m.key], known = values.filter((v) => v != null), low = Math.min(...known), span = Math.max(...known) - low || 1;
  const chart = svg("svg", { viewBox: "0 0 100 38", preserveAspectRatio: "none" });
  const x = (t) => c.frames > 1 ? t / (c.frames - 1) * 100 : 50;
  chart.append(svg("polyline", { points: values.map((v, t) => v == null ? "" : x(t) + "," + (34 - (v - low) / span * 30)).join(" ") }), svg("line", { class: "now", y1: 0, y2: 38 }));
  const figure = el("figure", {}, el("figcaption", {}, m.title, el("b")), chart);
  figure.now = (f) => {
    const line = chart.querySelector(".now");
    line.setAttribute("x1", x(f)); line.setAttribute("x2", x(f));
    figure.querySelector("b").textContent = number(values[f]);
  };
  figure.onclick = (e) => { const box = chart.getBoundingClientRect(); seek(Math.round((e.clientX - box.left) / box.width * (c.frames - 1))); };
  return figure;
}));
const tick = () => {
  if (open) {
    const f = frame();
    if (Number($("v-at").value) !== f || !$("v-frame").textContent) $("v-at").value = f;
    $("v-frame").textContent = f + 1 + " / " + open.frames;
    [...$("v-series").children].forEach((figure) => figure.now(f));
    $("v-play").textContent = video.paused ? "▶" : "❚❚";
  }
};
const loop = () => { tick(); if (viewer.open) requestAnimationFrame(loop); };
new MutationObserver(() => { if (viewer.open) loop(); }).observe(viewer, { attributes: true, attributeFilter: ["open"] });
$("v-at").oninput = () => seek(Number($("v-at").value));
viewer.addEventListener("close", () => { const c = open; open = null; video.pause(); video.removeAttribute("src"); video.load(); if (c) release(c); });
viewer.onclick = (e) => { if (e.target === viewer) viewer.close(); };
stage.onclick = () => act.play();
const neighbour = (step) => {
  let at = state.at + step;
  while (state.list[at] && !state.list[at].poster) at += step;
  if (state.list[at]) show(at);
};
const act = {
  back: () => neighbour(-1), on: () => neighbour(1), close: () => viewer.close(),
  play: () => { if (video.paused) play(video); else video.pause(); },
  less: () => seek(frame() - 1), more: () => seek(frame() + 1),
  slow: () => { speed = (speed + 1) % SPEEDS.length; video.playbackRate = SPEEDS[speed]; $("v-speed").textContent = SPEEDS[speed] + "×"; },
};
viewer.querySelectorAll("[data-do]").forEach((button) => { button.onclick = () => act[button.dataset.do](); });

/* Keys */
$("help-open").onclick = () => $("help").showModal();
const focusCard = (step) => {
  const nodes = [...document.querySelectorAll(".card.has")], now = nodes.indexOf(document.activeElement);
  const node = nodes[Math.max(0, Math.min(nodes.length - 1, now + step))];
  if (node) { node.focus(); node.scrollIntoView({ block: "nearest" }); }
};
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || $("help").open) return;
  const typing = e.target.matches("input:not([type=checkbox]):not([type=range]), select");
  if (typing) { if (e.key === "Escape") e.target.blur(); return; }
  const inViewer = { " ": act.play, ArrowLeft: act.less, ArrowRight: act.more, j: act.on, k: act.back, s: act.slow };
  const onPage = { "/": () => $("q").focus(), j: () => focusCard(1), k: () => focusCard(-1), p: togglePlay };
  const both = { t: flip, "?": () => $("help").showModal() };
  const does = (viewer.open ? inViewer : onPage)[e.key] || both[e.key] || (viewer.open && /^[0-4]$/.test(e.key) && (() => zoom(Number(e.key))));
  if (does) { e.preventDefault(); does(); }
});

plots();
apply();
if (D.plays && !matchMedia("(prefers-reduced-motion: reduce)").matches) togglePlay();
document.documentElement.dataset.ready = "true";
