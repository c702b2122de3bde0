// Runs in the page before its own scripts, and sees what a person would hear.
"use strict";

globalThis.probe = (() => {
  // As the synthetic caller counts it: louder than Opus' comfort noise, softer than any speech.
  const AUDIBLE_RMS = 200 / 32768;

  const seen = { clickedAt: null, connectedAt: null, audibleAt: null, violations: [], states: [], interim: [] };
  const peers = [];

  addEventListener("securitypolicyviolation", (event) => {
    seen.violations.push(`${event.effectiveDirective} ${event.blockedURI}`);
  });
  // What the talk page shows for a moment only: its states, and the person's words in the making.
  const passing = (list, value) => value && value !== list.at(-1) && list.push(value);
  new MutationObserver(() => {
    passing(seen.states, document.querySelector("#status")?.dataset.state);
    const words = document.querySelector(".turn[data-who=user][data-final=false] .words");
    passing(seen.interim, words?.textContent);
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  addEventListener("click", () => (seen.clickedAt ??= performance.now()), true);

  // The track's samples as the browser has decoded them, 10 ms at a time: an AudioContext for each
  // track would hold the page up while it connects, and shows a sound 10 to 20 ms after it is out.
  async function listen(track) {
    const reader = new MediaStreamTrackProcessor({ track: track.clone() }).readable.getReader();
    for (;;) {
      const { value: sound, done } = await reader.read();
      if (done) return;
      const samples = new Float32Array(sound.numberOfFrames);
      sound.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      sound.close();
      const energy = samples.reduce((sum, sample) => sum + sample * sample, 0);
      if (Math.sqrt(energy / samples.length) < AUDIBLE_RMS) continue;
      seen.audibleAt ??= performance.now();
      return reader.cancel();
    }
  }

  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(...args) {
      super(...args);
      peers.push(this);
      this.addEventListener("connectionstatechange", () => {
        if (this.connectionState === "connected") seen.connectedAt ??= performance.now();
      });
      this.addEventListener("track", (event) => {
        if (event.track.kind === "audio") void listen(event.track);
      });
    }
  };

  // Of all that was received, in the squared amplitude of WebRTC times seconds.
  async function energy() {
    const reports = await Promise.all(peers.map((peer) => peer.getStats()));
    return reports
      .flatMap((report) => [...report.values()])
      .filter((entry) => entry.type === "inbound-rtp" && entry.kind === "audio")
      .reduce((sum, entry) => sum + (entry.totalAudioEnergy ?? 0), 0);
  }

  function report() {
    const servers = peers.flatMap((peer) => peer.getConfiguration().iceServers ?? []);
    const elements = [...document.querySelectorAll("audio")];
    const request = (path) =>
      performance.getEntriesByType("resource").find((entry) => entry.name.endsWith(path));
    const answered = (path) => request(path)?.responseEnd ?? null;
    return {
      ...seen,
      openedWall: performance.timeOrigin,
      // The start brings it where no question about the microphone is open.
      tokenAt: answered("/api/token") ?? answered("/api/session/start"),
      startAt: answered("/api/session/start"),
      startAskedAt: request("/api/session/start")?.startTime ?? null,
      iceServers: servers.flatMap((server) => server.urls),
      sending: peers.flatMap((peer) => peer.getSenders()).flatMap(({ track }) => (track ? [track.label] : [])),
      sinks: elements.map((each) => [each.sinkId, each.volume]),
      playing: elements.filter((each) => !each.paused && !each.muted && each.currentTime > 0).length,
    };
  }

  const ice = () => peers.map((peer) => peer.iceConnectionState);

  return { energy, ice, report, seen };
})();
