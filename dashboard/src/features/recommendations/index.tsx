import { Empty, PageHeading } from "@/components";

export default function Page() {
  return (
    <>
      <PageHeading title="Recommendations" />
      <Empty title="Nothing here yet">This page is being built.</Empty>
    </>
  );
}
