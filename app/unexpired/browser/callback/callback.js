// Hands the provider's answer to the page that opened this window, and closes it. Host this file and
// callback.html beside each other, on the origin of your page, and register the address of
// callback.html at the provider.
"use strict";
{
  const message = { type: "unexpired:sign-in", url: location.href };
  history.replaceState(null, "", location.pathname); // Nothing else may see the code.

  // By both ways, as each fails where the other works: an opener is cut off by
  // Cross-Origin-Opener-Policy; a frame on another site's page has a BroadcastChannel of its own.
  // The page takes the answer once.
  const channel = new BroadcastChannel(message.type);
  channel.postMessage(message);
  channel.close();
  window.opener?.postMessage(message, location.origin);
  window.close();
}
