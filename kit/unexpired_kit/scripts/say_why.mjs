// Say why a script failed. Node.js itself would first write the line of Pyodide that threw, which is
// a megabyte long, and exit before a pipe has taken the rest.
process.on("uncaughtException", (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
