package slot

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pilotlight-io/pilotlight/internal/engine"
)

// simMemory names the directory that stands for the GPUs' memory among simulated engines; whoever starts the supervisor may name one for several
// supervisors.
const simMemory = "PILOTLIGHT_SIM_GPU_DIR"

// environment builds what an engine's process sees. Of the supervisor's own environment it has only what is listed: that holds the control plane's
// secrets, under whatever names the operator has chosen. What the supervisor alone decides comes last, and so wins.
func (s *Slot) environment(i *instance, l engine.Launch, mark string) []string {
	env := []string{simMemory + "=" + filepath.Join(s.scratch(), "gpus")}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); passed(name) || slices.Contains(s.cfg.PassEnv, name) {
			env = append(env, entry)
		}
	}
	env = append(env, s.cfg.EngineEnv...)
	if s.cfg.User != nil {
		home := filepath.Join(s.scratch(), "home")
		env = append(env, "HOME="+home, "USER="+s.cfg.User.Name, "LOGNAME="+s.cfg.User.Name)
	}
	env = append(env, l.Env...)
	return append(env, "CUDA_VISIBLE_DEVICES="+strings.Join(s.devices(i), ","), mark)
}

// passed reports whether engines may have a variable of the supervisor's: what says where programs, libraries and caches are, and how CUDA, its libraries and
// engines run. Images set many of these. None of them is a secret of the control plane; some, such as HF_TOKEN, are the engine's own.
func passed(name string) bool {
	switch name {
	case "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "LIBRARY_PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV", "XDG_CACHE_HOME",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NGC_API_KEY", simMemory,
		"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY":
		return true
	}
	for _, prefix := range passedPrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

var passedPrefixes = []string{
	"LC_", "CUDA_", "CUBLAS_", "CUDNN_", "NVIDIA_", "NCCL_", "NVSHMEM_", "UCX_", "UCC_", "OMPI_", "OPAL_", "PMIX_", "PRTE_", "OMP_", "MKL_", "KMP_",
	"OPENBLAS_", "TENSORRT_", "TRT_", "TRTLLM_", "TLLM_", "TORCH", "PYTORCH_", "TRITON_", "FLASHINFER_", "VLLM_", "NIM_", "GGML_", "LLAMA_",
	"HF_", "HUGGINGFACE_", "HUGGING_FACE_", "TRANSFORMERS_", "TOKENIZERS_", "SAFETENSORS_", "PYTHON", "CONDA_",
}
