/* The search runs in a worker, and a browser starts none for pages that are opened from a folder.
   There a hidden frame does the worker's part: same messages, same script. */
class FrameWorker extends EventTarget {
  constructor(url) {
    super();
    this.onmessage = null;
    this.frame = document.createElement("iframe");
    this.frame.hidden = true;
    document.body.appendChild(this.frame);
    const inside = this.frame.contentWindow;
    this.take = (event) => {
      if (event.source !== inside) return;
      const passed = new MessageEvent("message", { data: event.data });
      this.dispatchEvent(passed);
      if (this.onmessage) this.onmessage(passed);
    };
    window.addEventListener("message", this.take);
    // What a worker's script expects of its surroundings.
    inside.postMessage = (data) =>
      window.dispatchEvent(new MessageEvent("message", { data, source: inside }));
    inside.importScripts = (...urls) =>
      urls.reduce((before, next) => before.then(() => this.load(next)), Promise.resolve());
    this.ready = this.load(url);
  }
  load(url) {
    return new Promise((done, failed) => {
      const script = this.frame.contentDocument.createElement("script");
      script.src = new URL(url, location.href).href;
      script.onload = done;
      script.onerror = () => failed(new Error(`cannot load ${url}`));
      this.frame.contentDocument.body.appendChild(script);
    });
  }
  postMessage(data) {
    this.ready
      .then(() =>
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }))
      )
      .catch((error) => console.error(error));
  }
  terminate() {
    window.removeEventListener("message", this.take);
    this.frame.remove();
  }
}
if (location.protocol === "file:") window.Worker = FrameWorker;
