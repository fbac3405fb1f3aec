"""Any OpenAI-compatible server: vLLM, SGLang, LMDeploy, llama-server, Ollama and others."""
