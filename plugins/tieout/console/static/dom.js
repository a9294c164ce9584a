// Elements are made here and nowhere else: what comes from outside is only ever text or an attribute's value.

const SVG = "http://www.w3.org/2000/svg";

/** An element; `on…` attributes are listeners, true is an empty attribute, null, undefined and false are left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A name that may go on in the next line after a dot, an underscore, a slash or a hyphen; inside its words only if it must. */
export function breakable(name) {
  return String(name).split(/(?<=[._/-])(?![._/-])/).flatMap((part, index) => (index ? [h("wbr"), part] : part));
}

/** Tell a screen reader what has changed. */
export function announce(text) {
  document.getElementById("announcements").textContent = text;
}

let numbers = 0;

/** An id that no other element has. */
export function freshId(name) {
  numbers += 1;
  return `${name}-${numbers}`;
}
