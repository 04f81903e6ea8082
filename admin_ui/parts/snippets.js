// Settings for common clients to use this gateway.

export const KEY = "your-gateway-key";

// Anthropic clients add /v1/messages themselves, OpenAI clients only the part after /v1.
export function snippets(origin, model) {
  return [
    {
      name: "OpenAI SDK",
      where: "Python; other languages need the same two values.",
      text: `from openai import OpenAI

client = OpenAI(
    base_url="${origin}/v1",
    api_key="${KEY}",
)
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)`,
    },
    {
      name: "Claude Code",
      where: "In the shell, before you start it.",
      text: `export ANTHROPIC_BASE_URL="${origin}"
export ANTHROPIC_AUTH_TOKEN="${KEY}"
export ANTHROPIC_MODEL="${model}"
claude`,
    },
    {
      name: "curl",
      where: "In the shell.",
      text: `curl ${origin}/v1/chat/completions \\
  -H "Authorization: Bearer ${KEY}" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Hello"}]}'`,
    },
    {
      name: "Environment",
      where: "Read by most programs built on either SDK.",
      text: `export OPENAI_BASE_URL="${origin}/v1"
export OPENAI_API_KEY="${KEY}"
export ANTHROPIC_BASE_URL="${origin}"
export ANTHROPIC_API_KEY="${KEY}"`,
    },
  ];
}
