// Express with jsonwebtoken; VERIFY=0 skips verification.
//
// With a secret as text or bytes, which its documentation shows, jsonwebtoken first tries to parse a
// public key, on every call; KEY_OBJECT=1 avoids that.
import { createSecretKey } from "node:crypto";
import express from "express";
import jwt from "jsonwebtoken";

const bytes = Buffer.from(process.env.SECRET_HEX, "hex");
const secret = process.env.KEY_OBJECT === "1" ? createSecretKey(bytes) : bytes;
const rules = { algorithms: ["HS256"], issuer: "unexpired", audience: "unexpired" };
const app = express();

function verified(request, response, next) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  if (scheme !== "Bearer") return response.status(401).json({ error: "no token" });
  try {
    request.user = jwt.verify(token, secret, rules);
  } catch {
    return response.status(401).json({ error: "invalid token" });
  }
  return next();
}

function trusted(request, _response, next) {
  request.user = { sub: "0".repeat(32) };
  next();
}

app.get("/api/me", process.env.VERIFY === "0" ? trusted : verified, (request, response) => {
  response.json({ id: request.user.sub, username: "ada" });
});
app.listen(Number(process.env.PORT), "127.0.0.1");
