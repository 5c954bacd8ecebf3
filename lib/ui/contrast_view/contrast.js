// Draws summaries side by side and marks what only one of them says.
// All text goes in through textContent, so nothing a document holds is ever read as HTML.

export default function ({ data, parentElement }) {
  if (parentElement.shownVersion === data.version) return;
  parentElement.shownVersion = data.version;
  parentElement.querySelector(".contrast")?.remove();
  parentElement.append(
    element("div", { className: "contrast" }, [
      element("p", { className: "legend" }, [
        element("mark", { textContent: "Marked" }),
        document.createTextNode(` ${data.legend}`),
      ]),
      element("div", { className: "columns" }, data.summaries.map(column)),
    ]),
  );
}

function column(summary) {
  return element("section", { ariaLabel: summary.label }, [
    element("h2", { textContent: summary.label }),
    ...summary.notes.map((note) => element("p", { className: "note", textContent: note })),
    ...summary.sentences.map((pieces) => element("p", { className: "sentence" }, drawn(pieces))),
    ...summary.remarks.map((remark) => element("p", { className: "remark", textContent: remark })),
  ]);
}

function drawn(pieces) {
  return pieces.flatMap(({ text, own }, at) => [
    ...(at ? [document.createTextNode(" ")] : []),
    own ? element("mark", { textContent: text }) : document.createTextNode(text),
  ]);
}

function element(tag, properties, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
