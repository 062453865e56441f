// Runs before the page: records, in milliseconds from the start of the navigation, when the form can
// be typed in, when Python runs, and the longest pause between two frames in between.
{
  performance.setResourceTimingBufferSize(1000);
  const times = { typable: null, ready: null, stall: 0 };
  globalThis.loadingTimes = times;

  const isTypable = () => {
    const field = document.querySelector("#sign-in [name=username]");
    if (!field) return false;
    const { left, top, width, height } = field.getBoundingClientRect();
    return width > 0 && document.elementFromPoint(left + width / 2, top + height / 2) === field;
  };

  let last = 0;
  const look = () => {
    const now = performance.now();
    if (times.typable !== null) times.stall = Math.max(times.stall, now - last);
    else if (isTypable()) times.typable = now;
    last = now;
    if (times.ready === null) requestAnimationFrame(look);
  };
  requestAnimationFrame(look);

  const note = () => {
    if (document.documentElement?.dataset.ready === "true") times.ready ??= performance.now();
  };
  new MutationObserver(note).observe(document, {
    attributes: true,
    attributeFilter: ["data-ready"],
    subtree: true,
  });
}
