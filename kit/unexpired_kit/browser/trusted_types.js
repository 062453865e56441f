// Injected HTML must run neither JavaScript nor Python. The Content Security Policy stops JavaScript
// only: PyScript runs each <py-script>, <script type="py"> and py-click that appears in the page. So no
// string becomes HTML here. Elements are made by createElement, or cloned from a <template>.
//
// This is the page's first script. These directives of the policy make the browser enforce it:
//   require-trusted-types-for 'script'; trusted-types default
"use strict";
{
  // Without a tag there is no element: `innerHTML = ""` and PyScript's display("text") still work.
  const isText = (html) => !String(html).includes("<");

  // PyScript calls Function, and Pyodide's run_js calls eval. The text of a script element, a handler in
  // an attribute or a timer is never compiled from a string.
  const COMPILERS = ["eval", "Function"];

  globalThis.trustedTypes?.createPolicy("default", {
    createHTML: (html) => (isText(html) ? html : null), // The browser then throws a TypeError.
    createScript: (source, _type, sink) => (COMPILERS.includes(sink) ? source : null),
  });

  // Firefox before 148 and Safari before 26 have no Trusted Types. Nor has a page with workers: they
  // inherit its policy, and PyScript's start there without a script in which to call createPolicy. So
  // what parses a string as HTML is replaced here as well.
  const check = (html) => {
    if (isText(html) || (globalThis.TrustedHTML && html instanceof TrustedHTML)) return;
    throw new TypeError("This page makes no HTML from strings (trusted_types.js).");
  };
  const replace = (object, kind, name, checked) => {
    const property = object && Object.getOwnPropertyDescriptor(object, name);
    const original = property?.[kind];
    if (!original) return;
    const guarded = function (...parameters) {
      checked(parameters).forEach(check);
      return Reflect.apply(original, this, parameters);
    };
    Object.defineProperty(object, name, { ...property, [kind]: guarded });
  };
  const guard = (name, methods, setters = []) => {
    const prototype = globalThis[name]?.prototype;
    for (const [method, checked] of Object.entries(methods)) replace(prototype, "value", method, checked);
    for (const setter of setters) replace(prototype, "set", setter, first);
  };
  const all = (parameters) => parameters;
  const first = (parameters) => parameters.slice(0, 1);
  const second = (parameters) => parameters.slice(1, 2);
  const third = (parameters) => parameters.slice(2, 3);
  const ofSrcdoc = ([name, value]) => (String(name).toLowerCase() === "srcdoc" ? [value] : []);

  guard("Element", { insertAdjacentHTML: second, setHTMLUnsafe: first, setAttribute: ofSrcdoc }, ["innerHTML", "outerHTML"]);
  guard("ShadowRoot", { setHTMLUnsafe: first }, ["innerHTML"]);
  guard("HTMLIFrameElement", {}, ["srcdoc"]);
  guard("Document", { write: all, writeln: all, execCommand: third });
  guard("Range", { createContextualFragment: first });
  guard("DOMParser", { parseFromString: first });
  replace(globalThis.Document, "value", "parseHTMLUnsafe", first);
}
