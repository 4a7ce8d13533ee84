// Images from outside: chosen, dropped, pasted, or taken by the camera.

import { $ } from "./dom.js";

export function intake(take, refuse) {
  $("file").addEventListener("change", () => {
    if ($("file").files.length) take($("file").files[0]);
    $("file").value = ""; // so that the same file can be chosen again
  });
  const over = (is) => document.body.classList.toggle("over", is);
  addEventListener("dragover", (event) => { event.preventDefault(); over(true); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) over(false); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
    else refuse("What was dropped is no file.", "Drop an image file; save an image from a page first.");
  });
  addEventListener("paste", (event) => {
    const file = event.clipboardData.files[0];
    if (file) take(file);
  });
  camera(take, refuse);
}

function camera(take, refuse) {
  const video = $("video");
  let stream = null;
  // Without HTTPS a browser gives the camera to pages of the same machine only.
  $("camera").hidden = !navigator.mediaDevices;
  $("camera").addEventListener("click", async () => {
    $("camera").disabled = true; // until the browser has asked for permission: each click would ask again
    try {
      const facing = { facingMode: "environment", width: { ideal: 1280 } };
      stream = await navigator.mediaDevices.getUserMedia({ video: facing });
    } catch (error) {
      const none = error.name === "NotFoundError";
      refuse(none ? "There is no camera." : "The camera cannot be used.", none ? "" : "Allow it in the browser and try again.");
      return;
    } finally {
      $("camera").disabled = false;
    }
    video.srcObject = stream;
    $("shooting").showModal();
  });
  $("leave").addEventListener("click", () => $("shooting").close());
  $("shoot").addEventListener("click", async () => {
    if (!video.videoWidth) return;
    const still = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    still.getContext("2d").drawImage(video, 0, 0);
    const blob = await still.convertToBlob({ type: "image/png" });
    $("shooting").close();
    take(new File([blob], "photo.png", { type: blob.type }));
  });
  $("shooting").addEventListener("close", () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    video.srcObject = null;
  });
}

// The image as the browser knows it, or null where it cannot read it: a server may know more kinds.
export async function look(blob) {
  try {
    return await createImageBitmap(blob);
  } catch {
    return null;
  }
}

// A copy whose larger side has `side` pixels.
export async function smaller(picture, side) {
  const scale = side / Math.max(picture.width, picture.height);
  const copy = new OffscreenCanvas(Math.round(picture.width * scale) || 1, Math.round(picture.height * scale) || 1);
  const pen = copy.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, copy.width, copy.height);
  return copy.convertToBlob({ type: "image/png" });
}
