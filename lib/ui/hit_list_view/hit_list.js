// Draws found documents: title, excerpt with the found words marked, attributes, and the whole text.
// All text goes in through textContent, so nothing a document holds is ever read as HTML.

export default function ({ data, parentElement, setTriggerValue }) {
  if (parentElement.shownVersion === data.version) return;
  const focused = parentElement.getRootNode().activeElement?.dataset?.id;
  parentElement.shownVersion = data.version;
  parentElement.querySelector(".hits")?.remove();
  const list = element(
    "ol",
    { className: "hits", start: data.first },
    data.hits.map((hit) => hitItem(hit, data.openable, (id) => setTriggerValue("opened", id))),
  );
  parentElement.append(list);
  if (focused) {
    [...list.querySelectorAll(".open")].find((one) => one.dataset.id === focused)?.focus();
  }
}

function hitItem(hit, openable, open) {
  const title = hit.uri
    ? element("a", { href: hit.uri, target: "_blank", rel: "noopener noreferrer" })
    : element("span", {});
  title.append(...marked(hit.title));
  const button = element("button", {
    type: "button",
    className: "open",
    textContent: hit.document === null ? "Open" : "Close",
  });
  button.dataset.id = hit.id;
  button.setAttribute("aria-expanded", String(hit.document !== null));
  button.setAttribute("aria-label", `${button.textContent} ${hit.name}`);
  button.addEventListener("click", () => open(hit.document === null ? hit.id : ""));
  const item = element("li", {}, [
    element("div", { className: "head" }, [
      element("h3", { dir: "auto" }, [title]),
      ...(openable ? [button] : []),
    ]),
  ]);
  if (hit.document === null) {
    item.append(element("p", { className: "excerpt", dir: "auto" }, marked(hit.excerpt)));
  } else {
    const text = element("div", { className: "text", dir: "auto", tabIndex: 0, role: "region" });
    text.setAttribute("aria-label", `Text of ${hit.name}, scrollable`);
    text.append(...marked(hit.document));
    item.append(text);
  }
  item.append(
    element(
      "dl",
      {},
      hit.attributes.map(([name, value]) =>
        element("div", {}, [
          element("dt", { textContent: name }),
          element("dd", { textContent: value, dir: "auto" }),
        ]),
      ),
    ),
  );
  return item;
}

// Pieces of text, by turns outside and inside what was found.
function marked(pieces) {
  return pieces.map((text, index) =>
    index % 2 ? element("mark", { textContent: text }) : document.createTextNode(text),
  );
}

function element(tag, properties, children = []) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
