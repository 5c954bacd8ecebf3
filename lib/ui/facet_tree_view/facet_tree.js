// Draws hierarchies of facets as trees with counts: several values at every level, by mouse or keys.
// All text goes in through textContent, so nothing a document holds is ever read as HTML.
//
// What is selected belongs to the server. A click is shown at once and sent with a number; data
// that does not yet know of the last click is drawn without undoing it.

const NUMBER = new Intl.NumberFormat("en-US");
const SEARCH_PAUSE_MS = 250;
const FEW = 8; // values are found by eye
const MORE = "more"; // the last row of a level, not a value

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  let view = parentElement.view;
  if (!view) {
    view = parentElement.view = new View(parentElement);
  }
  view.setStateValue = setStateValue;
  view.setTriggerValue = setTriggerValue;
  view.update(data);
}

class View {
  constructor(parent) {
    this.clicks = []; // that the server has not answered yet
    this.clicked = 0;
    this.expanded = new Map(); // hierarchy -> set of paths as JSON
    this.focused = new Map(); // hierarchy -> path as JSON that the Tab key leads to
    this.facets = new Map(); // hierarchy -> its section
    this.fold = element("button", { className: "fold", type: "button" });
    this.fold.setAttribute("aria-expanded", "false");
    this.fold.addEventListener("click", () => {
      const open = this.fold.getAttribute("aria-expanded") === "false";
      this.fold.setAttribute("aria-expanded", String(open));
    });
    this.body = element("div", { className: "facets" });
    parent.append(this.fold, this.body);
  }

  update(data) {
    this.clicked = Math.max(this.clicked, data.clicked);
    this.clicks = this.clicks.filter((click) => click.number > data.clicked);
    const keys = data.facets.map((facet) => facet.key);
    for (const [key, section] of this.facets) {
      if (!keys.includes(key)) {
        section.root.remove();
        this.facets.delete(key);
      }
    }
    let selected = 0;
    for (const facet of data.facets) {
      selected += facet.selected;
      if (!this.expanded.has(facet.key)) {
        this.expanded.set(facet.key, new Set(facet.expanded.map((path) => JSON.stringify(path))));
      }
      for (const click of this.clicks) {
        if (click.facet === facet.key) showClick(facet.nodes, click.path, click.on);
      }
      let section = this.facets.get(facet.key);
      if (!section) {
        section = new Facet(this, facet);
        this.facets.set(facet.key, section);
      }
      if (this.body.children[keys.indexOf(facet.key)] !== section.root) {
        this.body.insertBefore(section.root, this.body.children[keys.indexOf(facet.key)] ?? null);
      }
      section.update(facet);
    }
    this.fold.textContent = selected ? `Facets (${NUMBER.format(selected)} selected)` : "Facets";
  }

  click(facet, path, on) {
    this.clicked += 1;
    this.clicks.push({ number: this.clicked, facet, path, on });
    this.setTriggerValue("clicks", this.clicks);
  }

  expand(key, path, open) {
    const expanded = this.expanded.get(key);
    expanded[open ? "add" : "delete"](path);
    const all = {};
    for (const [name, paths] of this.expanded) all[name] = [...paths].map((one) => JSON.parse(one));
    this.setStateValue("expanded", all);
  }
}

class Facet {
  constructor(view, facet) {
    this.view = view;
    this.key = facet.key;
    this.turn = element("button", { className: "turn", type: "button", textContent: "⇄" });
    this.turn.addEventListener("click", () => view.setTriggerValue("turned", this.key));
    this.title = element("h3", { textContent: facet.title });
    this.search = element("input", { type: "search", className: "search", autocomplete: "off" });
    this.search.placeholder = "Find a value";
    this.search.setAttribute("aria-label", `Search in ${facet.levels[0]}`);
    this.search.value = facet.search;
    this.search.addEventListener("input", () => {
      clearTimeout(this.pause);
      this.pause = setTimeout(() => {
        view.setTriggerValue("searched", { facet: this.key, letters: this.search.value });
      }, SEARCH_PAUSE_MS);
    });
    this.tree = element("ul", { className: "tree" });
    this.tree.setAttribute("role", "tree");
    this.tree.setAttribute("aria-label", facet.title);
    this.tree.setAttribute("aria-multiselectable", "true");
    this.tree.addEventListener("pointerdown", (event) => {
      this.held = event.button === 0 ? event.target.closest("[role=treeitem]")?.dataset.path : null;
    });
    this.tree.addEventListener("pointerup", (event) => this.released(event));
    this.tree.addEventListener("click", (event) => {
      if (event.detail === 0) this.chosen(event.target); // by a screen reader, not by a pointer
    });
    this.tree.addEventListener("keydown", (event) => this.pressed(event));
    this.values = element("span", {});
    this.exactness = element("span", { className: "exactness" });
    this.summary = element("p", { className: "summary" }, [this.values, " ", this.exactness]);
    this.root = element("section", { className: "facet" }, [
      element("div", { className: "head" }, [this.title, this.turn]),
      this.search,
      this.tree,
      this.summary,
    ]);
    this.root.setAttribute("aria-label", facet.title);
  }

  update(facet) {
    this.facet = facet;
    this.turn.hidden = facet.levels.length < 2;
    this.turn.title = `Turn to ${facet.turned}`;
    this.turn.setAttribute("aria-label", `Turn to ${facet.turned}`);
    this.root.classList.toggle("flat", facet.levels.length < 2);
    this.search.hidden = facet.distinct <= FEW && !facet.search;
    this.values.textContent = facet.summary;
    this.exactness.textContent = facet.exact ? "exact" : "approximate";
    this.exactness.title = facet.exact
      ? "Every count is the number of documents that a click finds"
      : "Counts may be off, or values missing: this engine lists only some";
    this.draw();
  }

  draw() {
    const hadFocus = this.tree.contains(this.tree.getRootNode().activeElement);
    const scrolled = this.tree.scrollTop;
    this.tree.replaceChildren(...this.rows(this.facet, [], 1));
    this.tree.hidden = !this.tree.childElementCount;
    this.tree.scrollTop = scrolled;
    const items = this.items();
    const focused = this.view.focused.get(this.key);
    const item = items.find((one) => one.dataset.path === focused) ?? items[0];
    if (item) item.tabIndex = 0;
    if (item && hadFocus) item.focus({ preventScroll: true });
  }

  rows(parent, path, level) {
    const nodes = level === 1 ? parent.nodes : parent.children;
    const rows = nodes.map((node, index) => this.row(node, [...path, node.value], level, index));
    const hidden = parent.distinct - nodes.filter((node) => node.listed).length;
    if (hidden > 0) rows.push(this.moreRow(hidden, parent.remainder, path, level));
    for (const row of rows) row.setAttribute("aria-setsize", String(rows.length));
    rows.forEach((row, index) => row.setAttribute("aria-posinset", String(index + 1)));
    return rows;
  }

  row(node, path, level) {
    const id = JSON.stringify(path);
    const open = node.inner && this.view.expanded.get(this.key).has(id);
    const name = node.value === null ? "No value" : node.value;
    const item = element("li", { className: "item", tabIndex: -1 });
    item.setAttribute("role", "treeitem");
    item.setAttribute("aria-level", String(level));
    item.setAttribute("aria-checked", node.selection);
    item.setAttribute("aria-label", `${name}, ${NUMBER.format(node.count)} documents`);
    if (node.inner) item.setAttribute("aria-expanded", String(Boolean(open)));
    item.dataset.path = id;
    const line = element("div", { className: "line", title: name }, [
      element("span", { className: node.inner ? "twist" : "twist none" }),
      element("span", { className: "box" }),
      element("span", { className: node.value === null ? "name none" : "name", textContent: name }),
      element("span", { className: "count", textContent: NUMBER.format(node.count) }),
    ]);
    line.style.paddingInlineStart = `${(level - 1) * 18}px`;
    if (!node.count) line.classList.add("zero");
    item.append(line);
    if (open) {
      const group = element("ul", { className: "group" }, this.rows(node, path, level + 1));
      group.setAttribute("role", "group");
      if (group.childElementCount) item.append(group);
    }
    return item;
  }

  moreRow(hidden, documents, path, level) {
    const item = element("li", { className: "item", tabIndex: -1 });
    item.setAttribute("role", "treeitem");
    item.setAttribute("aria-level", String(level));
    const text = `${NUMBER.format(hidden)} more`;
    item.setAttribute(
      "aria-label",
      `${text} values with ${NUMBER.format(documents)} documents: show more`,
    );
    item.dataset.path = JSON.stringify([...path, 0]);
    item.dataset.kind = MORE;
    const line = element("div", { className: "line more" }, [
      element("span", { className: "twist none" }),
      element("span", { className: "name", textContent: `${text} …` }),
      element("span", { className: "count", textContent: NUMBER.format(documents) }),
    ]);
    line.style.paddingInlineStart = `${(level - 1) * 18}px`;
    item.append(line);
    return item;
  }

  items() {
    return [...this.tree.querySelectorAll("[role=treeitem]")];
  }

  // A row that is drawn anew while the button is down gets no click, so the value is compared.
  released(event) {
    const held = this.held;
    this.held = null;
    if (held && event.target.closest("[role=treeitem]")?.dataset.path === held) {
      this.chosen(event.target);
    }
  }

  chosen(target) {
    const item = target.closest("[role=treeitem]");
    if (!item) return;
    this.focus(item);
    if (target.classList.contains("twist") && item.hasAttribute("aria-expanded")) {
      this.open(item, item.getAttribute("aria-expanded") === "false");
    } else {
      this.toggle(item);
    }
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const item = event.target.closest("[role=treeitem]");
    const items = this.items();
    const place = items.indexOf(item);
    const expanded = item.getAttribute("aria-expanded");
    const parent = item.parentElement.closest("[role=treeitem]");
    const actions = {
      ArrowDown: () => this.focus(items[place + 1]),
      ArrowUp: () => this.focus(items[place - 1]),
      Home: () => this.focus(items[0]),
      End: () => this.focus(items.at(-1)),
      ArrowRight: () =>
        expanded === "false" ? this.open(item, true) : expanded && this.focus(items[place + 1]),
      ArrowLeft: () => (expanded === "true" ? this.open(item, false) : this.focus(parent)),
      " ": () => this.toggle(item),
      Enter: () => this.toggle(item),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  focus(item) {
    if (!item) return;
    for (const other of this.items()) other.tabIndex = -1;
    item.tabIndex = 0;
    item.focus({ preventScroll: true });
    item.querySelector(".line").scrollIntoView({ block: "nearest" });
    this.view.focused.set(this.key, item.dataset.path);
  }

  open(item, open) {
    this.view.expand(this.key, item.dataset.path, open);
    this.draw();
  }

  toggle(item) {
    if (item.dataset.kind === MORE) {
      this.view.setTriggerValue("more", this.key);
      return;
    }
    const path = JSON.parse(item.dataset.path);
    const on = item.getAttribute("aria-checked") !== "true";
    showClick(this.facet.nodes, path, on);
    this.view.click(this.key, path, on);
    this.draw();
  }
}

// Shows a click before the server answers: the value, all within it, and its parents in part.
function showClick(nodes, path, on) {
  let level = nodes;
  path.forEach((value, depth) => {
    const node = level?.find((one) => one.value === value);
    level = node?.children;
    if (!node) return;
    if (depth === path.length - 1) {
      node.selection = String(on);
      showWithin(node.children, String(on));
    } else if (on ? node.selection === "false" : node.selection === "true") {
      node.selection = "mixed";
    }
  });
}

function showWithin(nodes, selection) {
  for (const node of nodes) {
    node.selection = selection;
    showWithin(node.children, selection);
  }
}

function element(tag, properties, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
