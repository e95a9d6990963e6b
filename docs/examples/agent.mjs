// An agent that calls a tool until it has its answer.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, stepCountIs, tool } from "ai";
import { z } from "zod";

const pilotlight = createOpenAICompatible({ name: "pilotlight", baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
const { text, steps } = await generateText({
  model: pilotlight("meta-llama/Meta-Llama-3.1-8B-Instruct"),
  prompt: "What is the weather in Berlin?",
  stopWhen: stepCountIs(4),
  tools: {
    weather: tool({
      description: "Tell the weather of a city.",
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => `rain in ${city}`,
    }),
  },
});
console.log(`${steps.length} steps: ${text}`);
