// Package main is the kubelet for the tests of this project, with its real volumes and tokens. Nothing runs
// in its containers: they are those of kubemark.
package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	remote "k8s.io/cri-client/pkg"
	"k8s.io/cri-client/pkg/fake"
	"k8s.io/klog/v2"
	cadvisor "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubemark"
)

const timeout = 15 * time.Second

func main() {
	name := flag.String("name", "node", "the node's name")
	folder := flag.String("folder", "", "the folder of all that it keeps")
	kubeconfig := flag.String("kubeconfig", "", "the file that leads to the API server")
	klog.InitFlags(nil)
	flag.Parse()
	if err := run(context.Background(), *name, *folder, *kubeconfig); err != nil {
		klog.Fatal(err)
	}
}

func run(ctx context.Context, name, folder, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := clientset.NewForConfig(config)
	if err != nil {
		return err
	}
	socket := filepath.Join(folder, "runtime.sock")
	if err := os.RemoveAll(socket); err != nil {
		return err
	}
	endpoint := "unix://" + socket
	runtime := fake.NewFakeRemoteRuntime()
	if err := runtime.Start(endpoint); err != nil {
		return err
	}
	defer runtime.Stop()
	service, err := remote.NewRemoteRuntimeService(ctx, endpoint, timeout, noop.NewTracerProvider(), false)
	if err != nil {
		return err
	}
	flags, settings := kubemark.GetHollowKubeletConfig(&kubemark.HollowKubeletOptions{NodeName: name, MaxPods: 20})
	// It has made this one in the machine's own folder for temporary files.
	if err := os.RemoveAll(flags.RootDirectory); err != nil {
		return err
	}
	flags.RootDirectory = filepath.Join(folder, "kubelet")
	flags.CertDirectory = filepath.Join(folder, "pki")
	settings.EnableServer = false
	settings.StaticPodPath = ""
	settings.PodLogsDir = filepath.Join(folder, "logs")
	settings.SyncFrequency.Duration = time.Second
	manager := cm.NewStubContainerManager()
	images := runtime.ImageService
	kubemark.NewHollowKubelet(flags, settings, client, client, &cadvisor.Fake{NodeName: name}, images, service, manager).Run(ctx)
	return nil
}
