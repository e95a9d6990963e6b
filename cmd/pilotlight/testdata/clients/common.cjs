// What the checks of the clients in JavaScript share. The environment says where: OPENAI_BASE_URL, and by PILOTLIGHT_ what else it needs.
const { z } = require("zod");

const E = process.env;

exports.BASE_URL = E.OPENAI_BASE_URL;
exports.KEY = E.OPENAI_API_KEY;
exports.KEYS = { comment: E.PILOTLIGHT_COMMENT_KEY, chunk: E.PILOTLIGHT_CHUNK_KEY }; // tokens with that keep-alive mode
exports.NARROW_KEY = E.PILOTLIGHT_NARROW_KEY; // a token that may use the model never-hot only
exports.HELLO = "Say hello.";
exports.SIMULATED = "This is simulated"; // how each answer in words begins

// model gives one of the models that belong to the client under test, cold before it is first asked.
exports.model = (name) => `${E.PILOTLIGHT_CLIENT}/${name}`;

exports.City = z.object({ name: z.string().min(1), population: z.number().int().min(0), climate: z.enum(["mild", "harsh"]) });
exports.Report = z.object({ city: z.string().min(1), days: z.number().int().min(1).max(3) });

// run makes the checks in turn, and exits 1 at the first that fails.
exports.run = async (...checks) => {
  for (const check of checks) {
    const began = Date.now();
    try {
      await check();
    } catch (e) {
      console.error("failed:", check.name, e);
      process.exit(1);
    }
    console.log(`ok ${check.name} ${((Date.now() - began) / 1000).toFixed(1)} s`);
  }
};
