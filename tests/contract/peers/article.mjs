// Express with jsonwebtoken, as articles on expired tokens show it: a middleware that names the
// failure of an access token, and a refresh that is refused by a bare 401 or 403.
import express from "express";
import jwt from "jsonwebtoken";

const { SECRET, PASSWORD } = process.env;
const REFRESH_SECRET = `${SECRET}, for refresh tokens`;
const refreshTokens = new Set();
let isDisabled = false;

function authenticate(request, response, next) {
  const token = request.headers.authorization?.split(" ")[1];
  if (!token) return response.status(401).json({ error: "Access token required", code: "NO_TOKEN" });
  jwt.verify(token, SECRET, (error, user) => {
    if (error?.name === "TokenExpiredError") {
      return response.status(401).json({
        error: "Token has expired", code: "TOKEN_EXPIRED", expiredAt: error.expiredAt,
      });
    }
    if (error?.name === "JsonWebTokenError") {
      return response.status(403).json({ error: "Invalid token", code: "INVALID_TOKEN" });
    }
    if (error) {
      return response.status(403).json({ error: "Token verification failed", code: "TOKEN_ERROR" });
    }
    request.user = user;
    return next();
  });
}

const accessToken = (username) => jwt.sign({ username }, SECRET, { expiresIn: "15m" });

const app = express();
app.use(express.json());

app.post("/api/login", (request, response) => {
  const { username, password } = request.body;
  if (!username || !password) return response.status(400).json({ error: "Username and password required" });
  if (username !== "ada" || password !== PASSWORD || isDisabled) {
    return response.status(401).json({ error: "Invalid credentials" });
  }
  const refreshToken = jwt.sign({ username }, REFRESH_SECRET, { expiresIn: "7d" });
  refreshTokens.add(refreshToken);
  return response.json({ accessToken: accessToken(username), refreshToken });
});

app.post("/api/refresh", (request, response) => {
  const { refreshToken } = request.body;
  if (!refreshToken) return response.sendStatus(401);
  jwt.verify(refreshToken, REFRESH_SECRET, (error, user) => {
    if (error?.name === "TokenExpiredError") return response.sendStatus(401);
    if (error) return response.status(403).json({ error: "Invalid refresh token", code: "INVALID_TOKEN" });
    if (!refreshTokens.has(refreshToken) || isDisabled) return response.sendStatus(403);
    return response.json({ accessToken: accessToken(user.username) });
  });
});

app.post("/api/logout", (request, response) => {
  refreshTokens.delete(request.body.refreshToken);
  response.sendStatus(204);
});

app.get("/me", authenticate, (request, response) => response.json({ username: request.user.username }));

app.get("/gone", (_request, response) => response.status(404).json({ error: "No such note.", code: "NOT_FOUND" }));

app.get("/test/:what", (request, response) => { // Do to ada what an administrator may.
  isDisabled = request.params.what === "disable";
  response.sendStatus(204);
});

const server = app.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
