// What a person sees at the provider.
const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 22rem; margin: 15vh auto; padding: 0 1rem }
input, button { font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; margin: .25rem 0 .5rem }`;

const escape = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const show = (ctx, title, body) => {
  ctx.type = "html";
  ctx.body = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style></head>
<body><main><h1>${title}</h1>${body}</main></body></html>`;
};

// oidc-provider gives its own forms without buttons.
const withButtons = (form, buttons) => form.replace("</form>", `${buttons}</form>`);

const BUTTONS = '<button name="answer" value="yes">Continue</button><button name="answer" value="no" formnovalidate>Cancel</button>';

const LOGIN = (hint) => `<p>Any name and any password will do.</p>
<label>Name <input name="login" required autocomplete="username" value="${escape(hint)}"></label>
<label>Password <input name="password" type="password" required autocomplete="current-password"></label>`;

const CONSENT = ({ client_id, scope = "" }, details) => {
  const asked = [scope, ...Object.values(details.missingResourceScopes ?? {}).flat()].join(" ").split(" ");
  const items = [...new Set(asked)].map((one) => `<li>${escape(one)}</li>`).join("");
  return `<p><strong>${escape(client_id)}</strong> asks for</p><ul>${items}</ul>`;
};

export function showInteraction(ctx, { prompt, params }) {
  const isLogin = prompt.name === "login";
  const content = isLogin ? LOGIN(params.login_hint ?? "") : CONSENT(params, prompt.details);
  show(ctx, isLogin ? "Sign in" : "Allow access", `<form method="post">${content}${BUTTONS}</form>`);
}

export const showError = (ctx, { error, error_description }) => show(
  ctx, "Something went wrong", `<p><code>${escape(error)}</code> ${escape(error_description ?? "")}</p>`,
);

export const deviceFlow = {
  enabled: true,
  userCodeInputSource: (ctx, form) => show(
    ctx, "Your code", withButtons(form, "<button>Continue</button>"),
  ),
  userCodeConfirmSource: (ctx, form, client, _, code) => show(
    ctx, "Is this your code?", `<p><code>${escape(code)}</code> for <strong>${escape(client.clientId)}</strong></p>${
      withButtons(form, '<button>Continue</button><button name="abort" value="no">Cancel</button>')}`,
  ),
  successSource: (ctx) => show(ctx, "You are signed in", "<p>Go back to your device.</p>"),
};

export const rpInitiatedLogout = {
  enabled: true,
  logoutSource: (ctx, form) => show(
    ctx, "Sign out here, too?",
    withButtons(form, '<button name="logout" value="yes">Sign out</button><button>Stay signed in</button>'),
  ),
  postLogoutSuccessSource: (ctx) => show(ctx, "You are signed out", ""),
};
