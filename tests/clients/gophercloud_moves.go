// A small client on gophercloud: one verb a call, its outcome in words on standard output.
//
//	gophercloud_moves MICROVERSION VERB [ARGUMENT...]
//
// The endpoint and the token come from OS_ENDPOINT and OS_TOKEN, as a program in a cloud has them.
package main

import (
	"fmt"
	"os"

	"github.com/gophercloud/gophercloud"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/hypervisors"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/instanceactions"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/migrate"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/services"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/servers"
)

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func listServers(compute *gophercloud.ServiceClient) error {
	pages, err := servers.List(compute, servers.ListOpts{AllTenants: true, Limit: 1}).AllPages()
	if err != nil {
		return err
	}
	all, err := servers.ExtractServers(pages)
	for _, server := range all {
		fmt.Println(server.Name, server.Status)
	}
	return err
}

func listHosts(compute *gophercloud.ServiceClient) error {
	pages, err := hypervisors.List(compute).AllPages()
	if err != nil {
		return err
	}
	all, err := hypervisors.ExtractHypervisors(pages)
	for _, host := range all {
		fmt.Println(host.HypervisorHostname, host.State, host.MemoryMB > 0)
	}
	return err
}

func listServices(compute *gophercloud.ServiceClient) error {
	pages, err := services.List(compute, services.ListOpts{Binary: "nova-compute"}).AllPages()
	if err != nil {
		return err
	}
	all, err := services.ExtractServices(pages)
	for _, service := range all {
		fmt.Println(service.Host, service.State)
	}
	return err
}

func listActions(compute *gophercloud.ServiceClient, id string) error {
	pages, err := instanceactions.List(compute, id, instanceactions.ListOpts{}).AllPages()
	if err != nil {
		return err
	}
	all, err := instanceactions.ExtractInstanceActions(pages)
	for _, action := range all {
		shown, err := instanceactions.Get(compute, id, action.RequestID).Extract()
		if err != nil {
			return err
		}
		fmt.Println(shown.Action, shown.RequestID != "")
	}
	return err
}

func listFlavors(compute *gophercloud.ServiceClient) error {
	pages, err := flavors.ListDetail(compute, flavors.ListOpts{}).AllPages()
	if err != nil {
		return err
	}
	all, err := flavors.ExtractFlavors(pages)
	for _, flavor := range all {
		fmt.Println(flavor.Name, flavor.RAM)
	}
	return err
}

// The older form has a third property, and knows no "auto".
func liveOptions(microversion string, arguments []string) migrate.LiveMigrateOpts {
	no := false
	options := migrate.LiveMigrateOpts{BlockMigration: &no}
	if microversion == "" {
		options.DiskOverCommit = &no
	}
	if len(arguments) > 1 {
		options.Host = &arguments[1]
	}
	return options
}

func do(compute *gophercloud.ServiceClient, verb string, arguments []string) error {
	switch verb {
	case "servers":
		return listServers(compute)
	case "hosts":
		return listHosts(compute)
	case "services":
		return listServices(compute)
	case "flavors":
		return listFlavors(compute)
	case "actions":
		return listActions(compute, arguments[0])
	case "live":
		return migrate.LiveMigrate(compute, arguments[0], liveOptions(compute.Microversion, arguments)).ExtractErr()
	case "cold":
		return migrate.Migrate(compute, arguments[0]).ExtractErr()
	case "confirm":
		return servers.ConfirmResize(compute, arguments[0]).ExtractErr()
	case "revert":
		return servers.RevertResize(compute, arguments[0]).ExtractErr()
	case "wait":
		return servers.WaitForStatus(compute, arguments[0], arguments[1], 60)
	}
	return fmt.Errorf("no verb %s", verb)
}

func main() {
	endpoint, token := os.Getenv("OS_ENDPOINT"), os.Getenv("OS_TOKEN")
	if len(os.Args) < 3 || endpoint == "" {
		fail(fmt.Errorf("usage: OS_ENDPOINT=… OS_TOKEN=… gophercloud_moves MICROVERSION|- VERB [ARGUMENT...]"))
	}
	provider := &gophercloud.ProviderClient{TokenID: token}
	compute := &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: endpoint + "/", Type: "compute"}
	if os.Args[1] != "-" {
		compute.Microversion = os.Args[1]
	}
	fail(do(compute, os.Args[2], os.Args[3:]))
}
