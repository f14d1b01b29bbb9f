// Two things that the widgets' JavaScript expects of a page and a page of this book does not have by itself.
(() => {
  const script = document.currentScript;

  // 1. It asks for its icon fonts beside the page: say where they are. (Read by require.js when it is loaded.)
  const dist = new URL(script.dataset.widgets, script.src).href.replace(/\/$/, "");
  window.require = { paths: { "@jupyter-widgets": dist, "@jupyter-widgets/html-manager/dist": dist } };

  // 2. It typesets formulas with MathJax 2's interface: translate to MathJax 3's.
  document.addEventListener("DOMContentLoaded", () => {
    if (window.MathJax && !window.MathJax.Hub) {
      window.MathJax.Hub = {
        Queue: ([, , element]) =>
          window.MathJax.startup?.promise?.then(() => window.MathJax.typesetPromise([element])),
      };
    }
  });
})();
