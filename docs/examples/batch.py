"""Many prompts at once. The first wakes the model, the others wait with it; each answer says what it cost."""

import asyncio

from openai import AsyncOpenAI

client = AsyncOpenAI()  # OPENAI_BASE_URL, OPENAI_API_KEY
PROMPTS = [f"Say the number {n}." for n in range(8)]


async def ask(prompt):
    answer = await client.chat.completions.with_raw_response.create(
        model="meta-llama/Meta-Llama-3.1-8B-Instruct", max_tokens=16, messages=[{"role": "user", "content": prompt}]
    )
    text = answer.parse().choices[0].message.content
    print(f"{answer.headers['x-pilotlight-start']:6} {answer.headers['x-pilotlight-billed-ms']:>10} ms  ${answer.headers['x-pilotlight-cost-usd']}  {text[:60]}")


async def main():
    await asyncio.gather(*map(ask, PROMPTS))


asyncio.run(main())
