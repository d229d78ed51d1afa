// The camera of this device: what it sees on the pad, and one picture after the other. Browsers offer it to pages from this
// machine or by HTTPS alone; elsewhere a phone takes its picture through the choice of files.

export const hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

export class Camera {
  #stream = null;
  #video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });

  constructor(canvas) { this.canvas = canvas; }

  // Shows what it sees until it is stopped, and returns the stream; rejects where there is none, or the user does not want it.
  async start() {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    this.stop();
    this.#stream = stream;
    this.#video.srcObject = stream;
    await this.#video.play();
    const show = () => { if (this.#stream === stream) { this.#show(); requestAnimationFrame(show); } };
    show();
    return stream;
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
  }

  // Returns what a stream shows now as a file, or null if it is not this camera's any more.
  async picture(stream) {
    if (this.#stream !== stream) return null;
    const { videoWidth: width, videoHeight: height } = this.#video, frame = new OffscreenCanvas(width, height);
    frame.getContext("2d").drawImage(this.#video, 0, 0);
    return frame.convertToBlob({ type: "image/jpeg", quality: 0.92 });
  }

  #show() {
    const { videoWidth: wide, videoHeight: high } = this.#video, { canvas } = this, side = canvas.width;
    const scale = side / Math.max(wide, high), [width, height] = [wide * scale, high * scale];
    canvas.getContext("2d").clearRect(0, 0, side, side);
    canvas.getContext("2d").drawImage(this.#video, (side - width) / 2, (side - height) / 2, width, height);
  }
}
