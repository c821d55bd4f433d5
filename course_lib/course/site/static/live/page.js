// Words on the page.
const element = (name) => document.getElementById(`live-${name}`);

// Text of an element, and, for a picture, its description.
export function text(name, value, label) {
  if (value !== null) element(name).textContent = value;
  if (label !== undefined) element(name).setAttribute("aria-label", label);
}

// What a tab is doing: a polite live region.
export function say(tab, sentence) {
  const place = element(`${tab}-status`);
  if (place.textContent !== sentence) place.textContent = sentence;
}

// What went wrong in a tab; "" takes it away.
export function trouble(tab, sentence) {
  const place = element(`${tab}-problem`);
  place.textContent = sentence;
  place.hidden = !sentence;
}

// The last few hundred times, and their quantiles.
export function latencies(most = 500) {
  const times = [];
  return {
    push(ms) {
      times.push(ms);
      if (times.length > most) times.shift();
    },
    quantile(share) {
      const sorted = [...times].sort((a, b) => a - b);
      return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
    },
  };
}

// A canvas's own pixels, so that letters are as large as those around it. Returns its size as the page measures it.
export function sized(canvas, height) {
  const [ratio, width] = [devicePixelRatio, canvas.clientWidth || 720];
  const [across, down] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== across || canvas.height !== down) [canvas.width, canvas.height] = [across, down];
  canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  return { width, height };
}

// A call that has `draw` done with the next picture of the screen; for those who asked for little motion, once a second.
export function drawn(draw) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let waits = false;
  const now = () => {
    waits = false;
    draw();
  };
  return () => {
    if (waits) return;
    waits = true;
    if (calm.matches) setTimeout(now, 1000);
    else requestAnimationFrame(now);
  };
}
